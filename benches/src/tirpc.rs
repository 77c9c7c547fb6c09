//! libtirpc's programs: `idl/bench.x` through rpcgen, then the C compiler, under `target/tirpc`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::house::available;

const PROGRAMS: [(&str, &str); 3] = [
    ("server", "bench_svc.c"),
    ("client", "bench_clnt.c"),
    ("codec", ""),
];
const OUTPUTS: [(&str, &str); 4] = [
    ("-h", "bench.h"),
    ("-c", "bench_xdr.c"),
    ("-l", "bench_clnt.c"),
    ("-m", "bench_svc.c"),
];
const HEADERS: &str = "/usr/include/tirpc";

/// The folder of the built programs, or why there is none.
pub(crate) fn build() -> Result<Result<PathBuf, String>> {
    if let Some(tool) = ["rpcgen", "gcc"].iter().find(|tool| !available(tool)) {
        return Ok(Err(format!("{tool} is not installed")));
    }
    if !Path::new(HEADERS).is_dir() {
        return Ok(Err(format!("there is no {HEADERS}")));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("target/tirpc");
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(root.join("idl/bench.x"), folder.join("bench.x"))?;
    for (flag, output) in OUTPUTS {
        std::fs::remove_file(folder.join(output)).ok();
        tool(&folder, "rpcgen", &["-C", flag, "-o", output, "bench.x"])?;
    }
    let source = root.join("c");
    let include = source.to_string_lossy();
    for (program, stub) in PROGRAMS {
        let file = source.join(format!("{program}.c"));
        let file = file.to_string_lossy();
        let mut arguments = vec![
            "-O2", "-w", "-I.", "-I", &include, "-I", HEADERS, "-o", program, &file,
        ];
        arguments.push("bench_xdr.c");
        arguments.extend(Some(stub).filter(|stub| !stub.is_empty()));
        arguments.push("-ltirpc");
        tool(&folder, "gcc", &arguments)?;
    }
    Ok(Ok(folder))
}

fn tool(folder: &Path, program: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .status();
    let status = status.with_context(|| format!("starting {program}"))?;
    ensure!(
        status.success(),
        "{program} {} ended with {status}",
        arguments.join(" ")
    );
    Ok(())
}
