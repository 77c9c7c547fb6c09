//! What the caller wants of the generated code.
//!
//! Types and members are named as the interface names them: `nfs_fh3` is a type, `nfs_fh3.data`
//! a member of a struct or an arm of a union, and `*` everything. Nothing here looks at a model.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// How interface files are compiled, for a build script or for whoever prints the code.
///
/// ```no_run
/// # fn main() -> Result<(), farcall_idl::Error> {
/// farcall_idl::Config::new()
///     .bytes(["READ3resok.data"])
///     .compile(["idl/nfs3.x"])
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub(crate) include: Vec<PathBuf>,
    pub(crate) define: Vec<(String, String)>,
    pub(crate) out_dir: Option<PathBuf>,
    pub(crate) bytes: Paths,
    pub(crate) string: Paths,
    pub(crate) borrowed: Paths,
    pub(crate) borrowed_arguments: Paths,
    pub(crate) open_enums: Paths,
    pub(crate) extern_paths: BTreeMap<String, String>,
    pub(crate) calls_as: BTreeMap<String, String>,
    pub(crate) attributes: Vec<(Paths, String)>,
    pub(crate) derives: Vec<(Paths, String)>,
    pub(crate) no_client: bool,
    pub(crate) no_server: bool,
    pub(crate) whole_names: bool,
    pub(crate) operations: Vec<String>,
    pub(crate) transcoders: bool,
}

/// Names of types and members, or everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths(Vec<String>);

impl Paths {
    fn add<I: IntoIterator<Item: Into<String>>>(&mut self, paths: I) {
        self.0.extend(paths.into_iter().map(Into::into));
    }

    /// Whether `path` was named, by itself or by `*`.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.0.iter().any(|one| one == "*" || one == path)
    }

    /// Whether `path` was named by itself.
    pub(crate) fn names(&self, path: &str) -> bool {
        self.0.iter().any(|one| one == path)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Config {
    /// The defaults: clients and servers, closed enums, `Vec<u8>` for opaque data and
    /// `farcall_wire::Str` for strings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory in which included files are looked for.
    #[must_use]
    pub fn include(mut self, directory: impl Into<PathBuf>) -> Self {
        self.include.push(directory.into());
        self
    }

    /// Defines a name for the preprocessor, as `-D NAME=VALUE` does.
    #[must_use]
    pub fn define(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.define.push((name.into(), value.into()));
        self
    }

    /// The directory that the code is written to. Default: cargo's `OUT_DIR`.
    #[must_use]
    pub fn out_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(directory.into());
        self
    }

    /// Opaque data and strings that are held as `farcall_wire::Bytes`: received without a copy,
    /// sent from where they lie. Members (`READ3resok.data`), typedefs, or `*`.
    #[must_use]
    pub fn bytes<I: IntoIterator<Item: Into<String>>>(mut self, paths: I) -> Self {
        self.bytes.add(paths);
        self
    }

    /// Strings that are held as `String`; what is not UTF-8 is then refused. Members, typedefs,
    /// or `*`.
    #[must_use]
    pub fn string<I: IntoIterator<Item: Into<String>>>(mut self, paths: I) -> Self {
        self.string.add(paths);
        self
    }

    /// Types that get a twin `FooRef<'a>` whose strings and opaque data borrow from the message
    /// (`&[u8]`, or `&str` where [`string`](Self::string) says `String`).
    /// Types, or `*`; what a named type contains gets a twin as well, where it needs one.
    #[must_use]
    pub fn borrowed<I: IntoIterator<Item: Into<String>>>(mut self, types: I) -> Self {
        self.borrowed.add(types);
        self
    }

    /// Procedures whose server gets arguments that borrow from the message: the trait's method
    /// takes `FooRef<'_>` (or `&[u8]`) instead of `Foo`, and nothing is copied for a call. What
    /// it wants to keep it takes by `to_owned`. Procedures (`NFSPROC3_WRITE`), or `*`; the types
    /// get their twins as by [`borrowed`](Self::borrowed).
    #[must_use]
    pub fn borrowed_arguments<I: IntoIterator<Item: Into<String>>>(
        mut self,
        procedures: I,
    ) -> Self {
        self.borrowed_arguments.add(procedures);
        self
    }

    /// Enums that keep numbers they do not list instead of refusing them. Types, or `*`.
    #[must_use]
    pub fn open_enums<I: IntoIterator<Item: Into<String>>>(mut self, types: I) -> Self {
        self.open_enums.add(types);
        self
    }

    /// Uses a type that exists already (`::other::Handle`) for `type_name`, for which nothing is
    /// generated then. It must be `Encode`, `Decode`, `Clone`, `Debug` and `PartialEq`; for a typedef of an `.idl` file
    /// with a conversion (`represent_as` and the like) `farcall_wire::ndr::Represent` instead of the first two.
    #[must_use]
    pub fn extern_path(mut self, type_name: impl Into<String>, path: impl Into<String>) -> Self {
        self.extern_paths.insert(type_name.into(), path.into());
        self
    }

    /// `.idl`: callers and servers of an operation with `call_as` see its local form, under the local name, as the type
    /// with this path says: a `farcall_wire::ndr::CallAs`. Without it they see what is on the wire.
    #[must_use]
    pub fn call_as(mut self, operation: impl Into<String>, path: impl Into<String>) -> Self {
        self.calls_as.insert(operation.into(), path.into());
        self
    }

    /// Puts an attribute, `#[...]` written out, on types. Types, or `*`.
    #[must_use]
    pub fn type_attribute(mut self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        let mut paths = Paths::default();
        paths.add([path.into()]);
        self.attributes.push((paths, attribute.into()));
        self
    }

    /// Derives one more trait (`::serde::Serialize`) for types. Types, or `*`.
    #[must_use]
    pub fn derive(mut self, path: impl Into<String>, derived: impl Into<String>) -> Self {
        let mut paths = Paths::default();
        paths.add([path.into()]);
        self.derives.push((paths, derived.into()));
        self
    }

    /// Generates no clients.
    #[must_use]
    pub fn no_client(mut self) -> Self {
        self.no_client = true;
        self
    }

    /// Generates no servers.
    #[must_use]
    pub fn no_server(mut self) -> Self {
        self.no_server = true;
        self
    }

    /// `.idl`: generates these operations and no others, for a server that has few of many. Whoever
    /// calls another is told that it is not here (`nca_s_op_rng_error`). Default: all.
    #[must_use]
    pub fn operations<I: IntoIterator<Item: Into<String>>>(mut self, names: I) -> Self {
        self.operations.extend(names.into_iter().map(Into::into));
        self
    }

    /// Keeps the prefix that all procedures of a version share, so that `NFSPROC3_READ` is
    /// called `nfsproc3_read` and not `read`.
    #[must_use]
    pub fn whole_procedure_names(mut self) -> Self {
        self.whole_names = true;
        self
    }

    /// Generates, for each interface of an `.idl` file, a function `codec::transcode` that reads a
    /// message of any operation and writes it again, in whatever syntax and byte order: for tests,
    /// for fuzzing, and for whoever stands between two peers.
    #[must_use]
    pub fn transcoders(mut self) -> Self {
        self.transcoders = true;
        self
    }
}
