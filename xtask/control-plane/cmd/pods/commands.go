package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"
	protocols "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/tools/remotecommand"
	streaming "k8s.io/kubelet/pkg/cri/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// A connection on which nothing happens, and one whose streams are not opened, end after this.
const (
	idle    = time.Hour
	opening = 30 * time.Second
)

// What containers have where their image says nothing else.
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// commands runs what is asked for in one directory.
type commands struct{ directory string }

func (c commands) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	streams, err := streaming.NewOptions(request)
	words := request.Form["command"]
	if err == nil && len(words) == 0 {
		err = errors.New("there is no command")
	}
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	pod, container := request.PathValue("pod"), request.PathValue("container")
	streaming.ServeExec(answer, request, c, pod, "", container, words, streams, idle, opening, protocols.SupportedStreamingProtocols)
}

// ExecInContainer knows no terminal: with one, both outputs are one stream, and that is all.
func (c commands) ExecInContainer(_ context.Context, pod string, _ types.UID, _ string, words []string, in io.Reader, out, complaints io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	// The kernel ends the command with the thread that started it, so that none outlives this program.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	command := exec.Command(words[0], words[1:]...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	command.Dir = c.directory
	command.Env = []string{"PATH=" + path, "HOME=" + c.directory, "HOSTNAME=" + pod}
	// A nil interface of another type is not nil.
	if out != nil {
		command.Stdout = out
	}
	if complaints != nil {
		command.Stderr = complaints
	} else if out != nil {
		command.Stderr = out
	}
	if in != nil {
		// Not command.Stdin: a command may end before its input does.
		pipe, err := command.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			defer pipe.Close()
			_, _ = io.Copy(pipe, in)
		}()
	}
	return ended(command.Run())
}

// ended says with which code a command did, as a shell would.
func ended(err error) error {
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		return utilexec.CodeExitError{Err: err, Code: exit.ExitCode()}
	case errors.As(err, &exit):
		return utilexec.CodeExitError{Err: err, Code: 128 + int(exit.Sys().(syscall.WaitStatus).Signal())}
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return utilexec.CodeExitError{Err: err, Code: 127}
	case errors.Is(err, os.ErrPermission):
		return utilexec.CodeExitError{Err: err, Code: 126}
	}
	return err
}
