//! The commands in the guide and in the README run: every `sh` block of `docs/`, in a folder of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn every_command_of_the_guide_runs() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let binary = Path::new(env!("CARGO_BIN_EXE_farcall"));
    let folder = binary.parent().expect("a folder");
    let scratch = std::env::temp_dir().join(format!("farcall-guide-{}", std::process::id()));
    fs::create_dir_all(&scratch).expect("make a folder");
    let path = format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut count = 0;
    for page in fs::read_dir(docs).expect("list the guide") {
        let page = page.expect("list the guide").path();
        let text = fs::read_to_string(&page).expect("read a page");
        for block in text.split("```sh\n").skip(1) {
            let (script, _) = block.split_once("```").expect("a block's end");
            let mut shell = Command::new("sh");
            shell
                .args(["-e", "-c", script])
                .current_dir(&scratch)
                .env("PATH", &path);
            let done = shell.output().expect("start a shell");
            let error = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(
                done.status.success(),
                "{}: {script}\n{error}",
                page.display()
            );
            count += 1;
        }
    }
    fs::remove_dir_all(&scratch).expect("remove the folder");
    assert!(count > 1, "{count} blocks");
}
