//! Values without generated code have the bytes of another implementation: those that Samba's Python packs, in a
//! file of cases (`MODULE NAME in|out|type le|be|64 HEX` a line) that `FARCALL_NDR_ORACLE` names. The interfaces are read where
//! they lie, in the folders of `FARCALL_IDL_CORPUS`.

#![cfg(feature = "model")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use farcall_idl::dynamic::ndr::Codec;
use farcall_idl::model::ndr::Type;
use farcall_idl::{Model, Options, parse_file};
use farcall_wire::ndr::{Order, Syntax};

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks_exact(2);
    let pairs = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn load(module: &str, folders: &[PathBuf]) -> Option<Model> {
    let options = Options {
        include: folders.to_vec(),
        ..Options::default()
    };
    let mut paths = folders.iter().map(|it| it.join(format!("{module}.idl")));
    let path = paths.find(|it| it.exists())?;
    parse_file(path, &options).ok().map(|(model, _)| model)
}

/// What is wrong with a case, if something is; `None` too if its type is not known here.
fn check(model: &Model, case: &[&str]) -> Result<bool, String> {
    let [module, name, kind, form, hex] = case else {
        return Ok(false);
    };
    let bytes = unhex(hex);
    let codec = Codec::new(model)
        .syntax(if *form == "64" {
            Syntax::Ndr64
        } else {
            Syntax::Ndr
        })
        .order(if *form == "be" {
            Order::Big
        } else {
            Order::Little
        });
    let names = [format!("{module}_{name}"), (*name).to_owned()];
    let again = match *kind {
        "type" => {
            let Some(id) = names.iter().find_map(|name| model.ndr().lookup(name)) else {
                return Ok(false);
            };
            let ty = Type::Named(id);
            let value = codec.decode(&ty, &bytes);
            value.and_then(|value| codec.encode(&ty, &value))
        }
        direction => {
            let found = names.iter().find_map(|name| codec.operation(name));
            let Some((_, operation)) = found.filter(|(_, it)| !it.unknown) else {
                return Ok(false);
            };
            match direction {
                "in" => {
                    let value = codec.decode_in(operation, &bytes);
                    value.and_then(|value| codec.encode_in(operation, &value))
                }
                _ => {
                    let value = codec.decode_out(operation, &bytes, None);
                    value.and_then(|value| codec.encode_out(operation, &value, None))
                }
            }
        }
    };
    match again {
        Ok(again) if again == bytes => Ok(true),
        Ok(again) => {
            let at = again.iter().zip(&bytes).position(|(a, b)| a != b);
            Err(format!(
                "differs at {at:?} of {}, {}",
                bytes.len(),
                again.len()
            ))
        }
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn bytes_of_another_implementation_are_read_and_written() {
    let (Ok(cases), Ok(corpus)) = (
        std::env::var("FARCALL_NDR_ORACLE"),
        std::env::var("FARCALL_IDL_CORPUS"),
    ) else {
        return;
    };
    let folders: Vec<PathBuf> = corpus.split(':').map(PathBuf::from).collect();
    let text = std::fs::read_to_string(cases).unwrap();
    let mut models: BTreeMap<String, Option<Model>> = BTreeMap::new();
    let (mut right, mut unknown, mut wrong) = (0, 0, Vec::new());
    for line in text.lines() {
        let line = line.strip_suffix('-').unwrap_or(line);
        let mut case: Vec<&str> = line.split(' ').collect();
        case.truncate(5);
        let module = case[0].to_owned();
        let model = models
            .entry(module.clone())
            .or_insert_with(|| load(&module, &folders));
        match model.as_ref().map(|model| check(model, &case)) {
            Some(Ok(true)) => right += 1,
            Some(Ok(false)) | None => unknown += 1,
            Some(Err(error)) => wrong.push(format!(
                "{} {} {} {}: {error}",
                case[0], case[1], case[2], case[3]
            )),
        }
    }
    println!("{right} right, {} wrong, {unknown} unknown", wrong.len());
    // Where a value is missing that may not be, Samba packs bytes that it does not read again itself: strings
    // without a terminator, unions without an arm.
    assert!(right > wrong.len() * 20, "{}", wrong.join("\n"));
}
