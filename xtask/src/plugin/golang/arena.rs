//! The function through which the host gets memory of a module in Go. One that Go exports would enter Go's scheduler in the middle of a
//! host call, which may then call the host for the time, and a component must not while it is given memory. So it is added here: it cuts
//! pieces from a room that the SDK keeps free.

use anyhow::{Context as _, Result, bail};
use wasm_encoder::{Encode as _, Function, MemArg, MemArgTarget, Module, RawSection, ValType};
use wasmparser::{BinaryReader, DataKind, Operator, Parser, Payload};

/// What the arena in `plugins/sdk-go/internal/host/arena_wasip1.go` begins with; behind it are the number of bytes that are taken, four
/// bytes for nothing, and the room.
const MARK: &[u8; 24] = b"claiflow:plugin go arena";
const TAKEN_AT: u32 = 24;
const ROOM_AT: u32 = TAKEN_AT + 8;
/// Of the room.
const ROOM_BYTES: u32 = 4 << 20;

/// What is added: the type `(i32, i32, i32, i32) -> i32`.
const TYPE: [u8; 8] = [0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f];

/// The numbers of sections that grow.
const TYPES: u8 = 1;
const FUNCTIONS: u8 = 3;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;

/// The module with an export `cabi_realloc`.
///
/// # Errors
/// When it has no arena, or is no module.
pub(super) fn with_realloc(module: &[u8]) -> Result<Vec<u8>> {
    let arena = place(module)?;
    let mut made = Module::new();
    let (mut types, mut functions) = (0, 0);
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else { continue };
        let bytes = usize::try_from(range.start)?..usize::try_from(range.end)?;
        let data = module.get(bytes).context("a section ends behind the file")?;
        let mut item = Vec::new();
        match &payload {
            Payload::TypeSection(section) => {
                types = section.count();
                item.extend_from_slice(&TYPE);
            }
            // Go imports nothing but functions.
            Payload::ImportSection(section) => functions = section.count(),
            Payload::FunctionSection(section) => {
                functions += section.count();
                types.encode(&mut item);
            }
            Payload::ExportSection(_) => {
                "cabi_realloc".encode(&mut item);
                item.push(0);
                functions.encode(&mut item);
            }
            Payload::CodeSectionStart { .. } => realloc(arena).encode(&mut item),
            _ => {}
        }
        let grown = matches!(id, TYPES | FUNCTIONS | EXPORTS | CODE).then(|| with(data, &item)).transpose()?;
        made.section(&RawSection { id, data: grown.as_deref().unwrap_or(data) });
    }
    Ok(made.finish())
}

/// A section with one more item: a section is the number of its items, and then they.
fn with(section: &[u8], item: &[u8]) -> Result<Vec<u8>> {
    let mut reader = BinaryReader::new(section, 0);
    let count = reader.read_var_u32()?;
    let items = section.get(reader.current_position()..).context("a section is too short")?;
    let mut grown = Vec::with_capacity(section.len() + item.len());
    (count + 1).encode(&mut grown);
    grown.extend_from_slice(items);
    grown.extend_from_slice(item);
    Ok(grown)
}

/// The address of the arena.
fn place(module: &[u8]) -> Result<u32> {
    let mut places = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::DataSection(section) = payload? else { continue };
        for segment in section {
            let segment = segment?;
            let DataKind::Active { offset_expr, .. } = segment.kind else { continue };
            let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else { continue };
            let found = segment.data.windows(MARK.len()).enumerate().filter(|(_, bytes)| *bytes == MARK);
            for (at, _) in found {
                places.push(u32::try_from(value)? + u32::try_from(at)?);
            }
        }
    }
    match places.as_slice() {
        [place] => Ok(*place),
        places => bail!("its memory has {} arenas of the SDK, and one is needed", places.len()),
    }
}

/// `(old, old size, alignment, size) -> place`. It traps where the room is too small.
fn realloc(arena: u32) -> Function {
    const OLD: u32 = 0;
    const OLD_SIZE: u32 = 1;
    const ALIGNMENT: u32 = 2;
    const SIZE: u32 = 3;
    const PLACE: u32 = 4;
    const END: u32 = 5;
    let (taken, room) = ((arena + TAKEN_AT).cast_signed(), (arena + ROOM_AT).cast_signed());
    let word = MemArg { offset: 0, align: 2, target: MemArgTarget::Memory(0), ordering: None };
    let mut function = Function::new([(2, ValType::I32)]);
    let mut code = function.instructions();
    // The first place behind what is taken that is aligned.
    code.i32_const(taken).i32_load(word).i32_const(room).i32_add();
    code.local_get(ALIGNMENT).i32_add().i32_const(1).i32_sub();
    code.i32_const(0).local_get(ALIGNMENT).i32_sub().i32_and().local_tee(PLACE);
    code.local_get(SIZE).i32_add().local_set(END);
    // A size that is larger than the room might wrap around.
    code.local_get(SIZE).i32_const(ROOM_BYTES.cast_signed()).i32_gt_u();
    code.local_get(END).i32_const((arena + ROOM_AT + ROOM_BYTES).cast_signed()).i32_gt_u().i32_or();
    code.if_(wasm_encoder::BlockType::Empty).unreachable().end();
    code.i32_const(taken).local_get(END).i32_const(room).i32_sub().i32_store(word);
    code.local_get(PLACE).local_get(OLD);
    code.local_get(OLD_SIZE).local_get(SIZE).local_get(OLD_SIZE).local_get(SIZE).i32_lt_u().select();
    code.memory_copy(0, 0);
    code.local_get(PLACE).end();
    function
}

#[cfg(test)]
mod tests {
    use super::{MARK, ROOM_BYTES, with_realloc};
    use wasm_encoder::{
        CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function, FunctionSection, MemorySection,
        MemoryType, Module, TypeSection,
    };
    use wasmparser::{Parser, Payload, Validator};

    fn module(arenas: i32) -> Vec<u8> {
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut functions = FunctionSection::new();
        functions.function(0);
        let mut memories = MemorySection::new();
        let pages = MemoryType { minimum: 100, maximum: None, memory64: false, shared: false, page_size_log2: None };
        memories.memory(pages);
        let mut exports = ExportSection::new();
        exports.export("_initialize", ExportKind::Func, 0);
        let mut code = CodeSection::new();
        let mut body = Function::new([]);
        body.instructions().end();
        code.function(&body);
        let mut data = DataSection::new();
        for arena in 0..arenas {
            data.active(0, &ConstExpr::i32_const(4096 * (arena + 1)), [b"xx".as_slice(), MARK].concat());
        }
        module.section(&types).section(&functions).section(&memories).section(&exports).section(&code).section(&data);
        module.finish()
    }

    #[test]
    fn a_module_with_one_arena_is_given_the_function() {
        let made = with_realloc(&module(1)).unwrap();
        Validator::new().validate_all(&made).unwrap();
        let mut exports = Vec::new();
        for payload in Parser::new(0).parse_all(&made) {
            if let Payload::ExportSection(section) = payload.unwrap() {
                exports
                    .extend(section.into_iter().map(|export| export.map(|it| (it.name.to_owned(), it.index)).unwrap()));
            }
        }
        assert_eq!(exports, [("_initialize".to_owned(), 0), ("cabi_realloc".to_owned(), 1)]);
        for arenas in [0, 2] {
            let error = with_realloc(&module(arenas)).unwrap_err().to_string();
            assert!(error.contains(&format!("{arenas} arenas")), "{error}");
        }
    }

    #[test]
    fn the_room_is_as_large_as_the_sdk_says() {
        let sdk = crate::root().join("plugins/sdk-go/internal/host/arena_wasip1.go");
        let text = std::fs::read_to_string(sdk).unwrap();
        assert!(text.contains(&format!("arenaBytes = {} << 20", ROOM_BYTES >> 20)));
        let letters: Vec<_> = MARK.iter().map(|letter| format!("'{}'", char::from(*letter))).collect();
        assert!(text.contains(&letters.join(", ")) && text.contains("mark [24]byte"));
    }
}
