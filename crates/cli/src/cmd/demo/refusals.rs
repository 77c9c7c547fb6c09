//! What wrong calls get: each kind of mistake has its own answer, and none of them runs
//! anything.

use farcall::generated::calc::v1::PROGRAM;
use farcall::stub::{Raw, Target};
use farcall::{Cause, Client, Error};
use farcall_onc::auth::{AuthBlock, AuthStat, Flavor, OpaqueAuth};
use serde_json::json;

use super::report::Report;
use super::stage::{self, Stage, TRANSPORTS};
use crate::table::Table;

/// A call with something wrong about it.
struct Mistake {
    what: &'static str,
    target: Target,
    auth: AuthBlock,
    arguments: &'static [u8],
    /// What the protocol answers.
    answer: &'static str,
    /// Whether that is what came.
    is_right: fn(&Cause) -> bool,
}

pub(super) async fn provoke(stage: &Stage, report: &mut Report<'_>) -> anyhow::Result<()> {
    report.act(
        "Wrong calls",
        "what the calculator answers to mistakes, the same over each transport",
    )?;
    let mistakes = mistakes()?;
    let mut table = Table::new(&["MISTAKE", "ANSWER", "TCP", "UDP", "UNIX"]);
    let mut facts = Vec::new();
    let mut outcomes = Vec::new();
    for mistake in &mistakes {
        let mut cells = vec![mistake.what.to_owned(), mistake.answer.to_owned()];
        for transport in TRANSPORTS {
            let endpoint = stage::endpoint(&stage.calculator, transport)?;
            let client = Client::connect(endpoint, PROGRAM.number, PROGRAM.version).await?;
            let result = make(&client, mistake).await;
            cells.push(match &result {
                Ok(()) => "ok".to_owned(),
                Err(_) => "FAILED".to_owned(),
            });
            facts.push(json!({
                "mistake": mistake.what,
                "transport": transport.scheme(),
                "answer": mistake.answer,
                "ok": result.is_ok(),
            }));
            outcomes.push((format!("{} over {transport}", mistake.what), result));
        }
        table.row(cells);
    }
    report.table(&table)?;
    for (what, result) in outcomes {
        report.check(what, result)?;
    }
    report.note(format!(
        "{} kinds of mistakes refused by name",
        mistakes.len()
    ));
    report.fact("refusals", json!(facts));
    Ok(())
}

/// Makes the call; it must be refused as expected, and surely not have run.
async fn make(client: &Client, mistake: &Mistake) -> Result<(), String> {
    let client = client.with_auth(mistake.auth.clone());
    let called = client.call_target(mistake.target, &Raw(mistake.arguments), |_| Ok(()));
    let error: Error = match called.await {
        Ok(()) => return Err(format!("a result, expected {}", mistake.answer)),
        Err(error) => error,
    };
    match (mistake.is_right)(error.cause()) {
        true if error.may_have_executed() => Err(format!("{error}: it may have run")),
        true => Ok(()),
        false => Err(format!("{error}, expected {}", mistake.answer)),
    }
}

fn mistakes() -> anyhow::Result<Vec<Mistake>> {
    let mut all = wrong_numbers();
    all.extend(wrong_arguments());
    all.push(Mistake {
        auth: crowded()?,
        ..mistake(
            "a user in 17 groups",
            ours(PROGRAM.version, 1),
            b"\0\0\0\x28\0\0\0\x02",
            "AUTH_ERROR, AUTH_BADCRED",
            |cause| matches!(cause, Cause::Authentication(AuthStat::BADCRED)),
        )
    });
    Ok(all)
}

/// A mistake that has nothing to do with who calls.
fn mistake(
    what: &'static str,
    target: Target,
    arguments: &'static [u8],
    answer: &'static str,
    is_right: fn(&Cause) -> bool,
) -> Mistake {
    Mistake {
        what,
        target,
        auth: AuthBlock::none(),
        arguments,
        answer,
        is_right,
    }
}

/// A procedure of the calculator, or what would be one.
fn ours(version: u32, procedure: u32) -> Target {
    Target {
        program: PROGRAM.number,
        version,
        procedure,
    }
}

/// Numbers that name nothing there.
fn wrong_numbers() -> Vec<Mistake> {
    let nobody = Target {
        program: 0x3fff_fff1,
        version: 1,
        procedure: 1,
    };
    vec![
        mistake("unknown program", nobody, b"", "PROG_UNAVAIL", |cause| {
            matches!(cause, Cause::ProgramUnavailable)
        }),
        mistake(
            "unknown version 9",
            ours(9, 1),
            b"",
            "PROG_MISMATCH, versions 1 to 1",
            |cause| matches!(cause, Cause::ProgramMismatch { low: 1, high: 1 }),
        ),
        mistake(
            "unknown procedure 99",
            ours(PROGRAM.version, 99),
            b"",
            "PROC_UNAVAIL",
            |cause| matches!(cause, Cause::ProcedureUnavailable),
        ),
    ]
}

/// Arguments that are not what the interface says.
fn wrong_arguments() -> Vec<Mistake> {
    const WRONG: [(&str, u32, &[u8]); 3] = [
        ("too few arguments", 1, b"\0\0\0\x28"),
        ("too many arguments", 1, b"\0\0\0\x28\0\0\0\x02\0\0\0\x07"),
        ("a text of 4 GiB, claimed", 6, b"\xff\xff\xff\xff"),
    ];
    let one = |(what, procedure, arguments)| {
        let target = ours(PROGRAM.version, procedure);
        mistake(what, target, arguments, "GARBAGE_ARGS", |cause| {
            matches!(cause, Cause::GarbageArguments)
        })
    };
    WRONG.into_iter().map(one).collect()
}

/// An AUTH_SYS credential with one group more than there may be.
fn crowded() -> Result<AuthBlock, farcall_wire::EncodeError> {
    let mut words = vec![0_u32, 0, 1000, 1000, 17];
    words.extend(1..=17);
    let body: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
    let credential = OpaqueAuth {
        flavor: Flavor::SYS,
        body: &body,
    };
    AuthBlock::new(credential, OpaqueAuth::NONE)
}
