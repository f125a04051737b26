//! The functions that a component imports of each interface, read from its bytes.

use std::collections::BTreeMap;

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentType, ComponentTypeRef,
    InstanceTypeDeclaration, Parser, Payload,
};

/// By the import's name, the functions in it as a component names them: `get`, `[method]listing.next`. The bytes passed
/// [`super::surface::Surface::read`].
///
/// # Errors
/// Where the bytes end or are no component.
pub(super) fn functions(bytes: &[u8]) -> Result<BTreeMap<String, Vec<String>>, String> {
    let broken = |error: wasmparser::BinaryReaderError| format!("the file is truncated or no component: {error}");
    // The index space of types, as far as it holds what an interface is made of.
    let mut types: Vec<Option<Vec<String>>> = Vec::new();
    let (mut imports, mut depth) = (BTreeMap::new(), 0_usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ if depth != 1 => {}
            Payload::ComponentTypeSection(section) => {
                for defined in section {
                    types.push(match defined.map_err(broken)? {
                        ComponentType::Instance(declared) => Some(functions_of(&declared)),
                        _ => None,
                    });
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    if is_type(&alias.map_err(broken)?) {
                        types.push(None);
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import.map_err(broken)?;
                    match import.ty {
                        ComponentTypeRef::Instance(index) => {
                            let index = usize::try_from(index).unwrap_or(usize::MAX);
                            let names = types.get(index).cloned().flatten().unwrap_or_default();
                            imports.insert(import.name.name.to_owned(), names);
                        }
                        ComponentTypeRef::Type(_) => types.push(None),
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    if export.map_err(broken)?.kind == ComponentExternalKind::Type {
                        types.push(None);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(imports)
}

fn functions_of(declared: &[InstanceTypeDeclaration<'_>]) -> Vec<String> {
    let function = |it: &InstanceTypeDeclaration<'_>| match it {
        InstanceTypeDeclaration::Export { name, ty: ComponentTypeRef::Func(_) } => Some(name.name.to_owned()),
        _ => None,
    };
    declared.iter().filter_map(function).collect()
}

fn is_type(alias: &ComponentAlias<'_>) -> bool {
    match alias {
        ComponentAlias::InstanceExport { kind, .. } => *kind == ComponentExternalKind::Type,
        ComponentAlias::Outer { kind, .. } => *kind == ComponentOuterAliasKind::Type,
        ComponentAlias::CoreInstanceExport { .. } => false,
    }
}
