//! What an interface file says of a program, as constants in generated code.

/// A program and version as the interface file describes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// The program's number.
    pub number: u32,
    /// The version's number.
    pub version: u32,
    /// The program's name in the interface file.
    pub name: &'static str,
    /// The version's name in the interface file.
    pub version_name: &'static str,
    /// The procedures, by rising number.
    pub procedures: &'static [Procedure],
}

/// A procedure as the interface file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Procedure {
    /// The procedure's number.
    pub number: u32,
    /// The procedure's name in the interface file.
    pub name: &'static str,
    /// Running it twice is as good as running it once. Default false.
    pub idempotent: bool,
    /// It may block its thread, so it runs on a pool. Default false.
    pub blocking: bool,
}

impl Program {
    /// The procedure with this number, if the interface has it.
    pub fn procedure(&self, number: u32) -> Option<&Procedure> {
        let at = self
            .procedures
            .binary_search_by_key(&number, |p| p.number)
            .ok()?;
        self.procedures.get(at)
    }

    /// `NFS_V3.READ`, or the number if the interface does not name it.
    pub fn procedure_name(&self, number: u32) -> String {
        match self.procedure(number) {
            Some(procedure) => format!("{}.{}", self.version_name, procedure.name),
            None => format!("{}.{number}", self.version_name),
        }
    }
}
