package host

import (
	"sync"
	"unsafe"
)

// How much the host can hand over at once: the inputs and the context of the call, and the answer of one host call.
const arenaBytes = 4 << 20

// Where the host writes what it hands over. `build-plugin` finds it by its mark and gives the component a `cabi_realloc` that cuts
// pieces from it. One in Go would enter Go's scheduler in the middle of a host call, which may read a clock, and a component may call
// nothing while it is given memory; and memory that is grown beside Go's own breaks Go's heap.
var arena = struct {
	mark [24]byte
	// Bytes of the room that are taken.
	taken uint32
	_     uint32
	room  [arenaBytes]byte
}{mark: [...]byte{
	// Byte by byte: a text would be copied there when the plugin starts.
	'c', 'l', 'a', 'i', 'f', 'l', 'o', 'w', ':', 'p', 'l', 'u', 'g', 'i', 'n', ' ', 'g', 'o', ' ', 'a', 'r', 'e', 'n', 'a',
}}

// One lift at a time: pieces are given back in the order in which they were taken.
var lifting sync.Mutex

// area is where one host call leaves its result.
type area struct {
	words [16]uint64
	taken uint32
}

// begin prepares for a host call; `end` gives back what the host takes of the arena.
func begin() *area {
	lifting.Lock()
	return &area{taken: arena.taken}
}

func (a *area) end() {
	arena.taken = a.taken
	lifting.Unlock()
}

func (a *area) place() unsafe.Pointer { return unsafe.Pointer(&a.words) }

func (a *area) word(at int) uint32 { return uint32(a.words[at/8] >> (at % 8 * 8)) }

func (a *area) tag(at int) uint32 { return a.word(at) & 0xff }

func (a *area) isSet(at int) bool { return a.tag(at) != 0 }

// text at pointer and length, copied.
func (a *area) text(at int) string { return string(given(a.word(at), a.word(at+4))) }

func (a *area) bytes(at int) []byte { return append([]byte{}, given(a.word(at), a.word(at+4))...) }

// failure is the contract's record.
func (a *area) failure(at int) error {
	failure := &Failure{Code: a.text(at), Message: a.text(at + 8)}
	if a.isSet(at + 16) {
		failure.Details = a.text(at + 20)
	}
	return failure
}

// done reads a `result<_, failure>`.
func (a *area) done() error {
	if a.isSet(0) {
		return a.failure(4)
	}
	return nil
}

// json reads a `result<json, failure>`.
func (a *area) json() (string, error) {
	if a.isSet(0) {
		return "", a.failure(4)
	}
	return a.text(4), nil
}

// handle reads a `result<own<…>, failure>`.
func (a *area) handle() (uint32, error) {
	if a.isSet(0) {
		return 0, a.failure(4)
	}
	return a.word(4), nil
}

// given is what the host put into the arena, until `end`.
func given(pointer, length uint32) []byte {
	if length == 0 {
		return nil
	}
	return arena.room[pointer-address(unsafe.Pointer(&arena.room)):][:length]
}

// anchor makes whatever an address is taken of lie in the heap: a stack moves when it grows.
var anchor unsafe.Pointer

// address of something in the component's memory. Whoever hands it over keeps the thing alive until the host has read it.
func address(place unsafe.Pointer) uint32 {
	anchor = place
	return uint32(uintptr(place))
}

// pair is a text or a list as it lies in memory.
type pair struct{ pointer, length uint32 }

func pairOf(text string) pair {
	return pair{address(unsafe.Pointer(unsafe.StringData(text))), uint32(len(text))}
}

// aloud reads bytes as a text without copying them, for a call that only reads them.
func aloud(data []byte) string { return unsafe.String(unsafe.SliceData(data), len(data)) }

func flag(is bool) uint32 {
	if is {
		return 1
	}
	return 0
}
