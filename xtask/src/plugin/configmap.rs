//! ConfigMaps that hold one component: a single one, or several that each hold a piece of it compressed.

#![allow(clippy::indexing_slicing, reason = "what a JSON value does not have reads as null")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};

use super::sha256;

/// What the API server lets a ConfigMap hold.
const MAX_BYTES: usize = 1 << 20;
/// Of a piece: the rest of a ConfigMap's room is for its keys.
const PIECE_BYTES: usize = 1_000_000;
/// An agent puts together no more.
const PIECES_MAX: usize = 64;

/// Writes the manifest beside the component; how many ConfigMaps are in it.
///
/// # Errors
/// Where it does not fit: what holds it instead.
pub(super) fn write(name: &str, namespace: &str, component: &Path) -> Result<(PathBuf, usize)> {
    let maps = maps(name, namespace, &fs::read(component)?)?;
    let count = maps.len();
    let manifest = match <[Value; 1]>::try_from(maps) {
        Ok([only]) => only,
        Err(maps) => json!({"apiVersion": "v1", "kind": "List", "items": maps}),
    };
    let path = component.with_extension("configmap.json");
    fs::write(&path, serde_json::to_string_pretty(&manifest)? + "\n")
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok((path, count))
}

fn maps(name: &str, namespace: &str, component: &[u8]) -> Result<Vec<Value>> {
    let map = |suffix: &str, annotations: Value, key: String, bytes: &[u8]| {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": format!("claiflow-plugin-{name}{suffix}"),
                "namespace": namespace,
                "labels": {"claiflow.io/plugin": name},
                "annotations": annotations,
            },
            "binaryData": {key: STANDARD.encode(bytes)},
        })
    };
    let digest = sha256(component);
    if component.len() <= MAX_BYTES {
        let annotations = json!({"claiflow.io/sha256": digest});
        return Ok(vec![map("", annotations, format!("{name}.wasm"), component)]);
    }
    let packed = compress_to_vec(component, CompressionLevel::Fastest);
    let pieces: Vec<_> = packed.chunks(PIECE_BYTES).collect();
    if pieces.len() > PIECES_MAX {
        bail!(
            "{name} has {} bytes, and {PIECES_MAX} ConfigMaps hold no more than {}: embed less data, or use --oci",
            component.len(),
            PIECES_MAX * PIECE_BYTES
        );
    }
    let parts = pieces.len();
    let piece = |(part, bytes): (usize, &&[u8])| {
        let annotations = json!({
            "claiflow.io/sha256": digest,
            "claiflow.io/part": part.to_string(),
            "claiflow.io/parts": parts.to_string(),
        });
        map(&format!("-{part}"), annotations, format!("{name}.wasm.zst.{part}"), bytes)
    };
    Ok(pieces.iter().enumerate().map(piece).collect())
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, PIECE_BYTES, PIECES_MAX, maps};
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    /// Bytes that do not get smaller.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn one_map_holds_the_file_under_its_name() {
        let maps = maps("tool", "space", b"\0asm").unwrap();
        assert_eq!(maps.len(), 1);
        assert_eq!(maps[0]["metadata"]["namespace"], "space");
        assert_eq!(maps[0]["binaryData"]["tool.wasm"], "AGFzbQ==");
    }

    #[test]
    fn what_one_map_does_not_hold_is_cut_into_pieces_that_make_it_again() {
        let component = noise(MAX_BYTES + 1_500_000);
        let maps = maps("tool", "space", &component).unwrap();
        let mut packed = Vec::new();
        for (part, map) in maps.iter().enumerate() {
            assert_eq!(map["metadata"]["annotations"]["claiflow.io/part"], part.to_string());
            assert_eq!(map["metadata"]["annotations"]["claiflow.io/parts"], maps.len().to_string());
            let piece = map["binaryData"][format!("tool.wasm.zst.{part}")].as_str().unwrap();
            packed.extend(STANDARD.decode(piece).unwrap());
        }
        let mut decoder = ruzstd::decoding::StreamingDecoder::new(packed.as_slice()).unwrap();
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut decoder, &mut unpacked).unwrap();
        assert!(unpacked == component);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_advice() {
        let error = maps("tool", "space", &noise((PIECES_MAX + 1) * PIECE_BYTES)).unwrap_err();
        assert!(error.to_string().contains("--oci"), "{error}");
    }
}
