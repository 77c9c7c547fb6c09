//! Registrations in a file of this machine: they outlive the process.
//!
//! What is read is in memory; what is changed is in the file, synchronised, before anybody is told so. The file is an
//! embedded database (redb): after a crash it holds what was acknowledged, and one process has it at a time. It is read
//! and written by its owner alone. After a restart of the machine every process that registered something is gone; what
//! it registered is kept until somebody sees that nobody answers there (see [`sweep`](crate::sweep)).

use super::memory::Memory;
use super::record::{decode_element, decode_mapping, encode_element, encode_mapping};
use super::{Insert, Removed, Store, StoreError, Which};
use crate::element::Element;
use crate::mapping::{Mapping, Owner};
use crate::process::{self, Process};
use farcall_wire::EncodeError;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

const MAPPINGS: Table = TableDefinition::new("mappings");
const ELEMENTS: Table = TableDefinition::new("elements");
/// What is true of the whole file.
const ABOUT: Table = TableDefinition::new("about");
/// Which start of the machine the processes in it are of.
const BOOT: &[u8] = b"boot";

/// Memory that the database may use beside ours, in bytes.
const CACHE: usize = 1 << 20;

/// Registrations in a file.
pub struct Embedded {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    memory: Memory,
    /// One change at a time; the number of the next registration.
    next: Arc<Mutex<u64>>,
}

/// New values by key; none to remove.
type NewRows = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// What a change does to one table.
struct Change {
    table: Table,
    rows: NewRows,
}

impl Embedded {
    /// Opens a file, or makes it: for its owner alone, and not through a symbolic link.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] if it cannot be opened or another process has it; [`StoreError::Damaged`] if it is
    /// something else.
    // req: onc-binder-state
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let file = open_private(path)
            .map_err(|error| StoreError::Unreachable(format!("{}: {error}", path.display())))?;
        // The database believes what stands in its file.
        let opened = catch_unwind(AssertUnwindSafe(|| load(file)));
        let damaged = || StoreError::Damaged(format!("{} is no registry", path.display()));
        let (database, mut mappings, mut elements) = opened.map_err(|_| damaged())??;
        mappings.sort_by_key(|(order, _)| *order);
        elements.sort_by_key(|(order, _)| *order);
        let orders = mappings.iter().map(|(order, _)| *order);
        let orders = orders.chain(elements.iter().map(|(order, _)| *order));
        let next = orders.max().unwrap_or(0).saturating_add(1);
        let memory = Memory::holding(
            mappings.into_iter().map(|(_, mapping)| mapping).collect(),
            elements.into_iter().map(|(_, element)| element).collect(),
        );
        let inner = Inner {
            database,
            memory,
            next: Arc::new(Mutex::new(next)),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Runs `change` on the mappings, writes what is different, and makes it true.
    async fn change_mappings<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Memory) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.inner.next).lock_owned().await;
        let before = self.inner.memory.mappings();
        let trial = Memory::holding(before.to_vec(), Vec::new());
        let value = change(&trial)?;
        let after = trial.mappings();
        let key = |mapping: &Mapping| mapping_key(mapping);
        let rows = difference(&before, &after, *turn, key, encode_mapping)?;
        let table = MAPPINGS;
        let apply = move |memory: &Memory| memory.replace_mappings(after.to_vec());
        self.write(turn, Change { table, rows }, apply).await?;
        Ok(value)
    }

    /// Writes a change and then makes it true, although whoever asked may be gone by then.
    async fn write(
        &self,
        mut turn: OwnedMutexGuard<u64>,
        change: Change,
        apply: impl FnOnce(&Memory) + Send + 'static,
    ) -> Result<(), StoreError> {
        if change.rows.is_empty() {
            apply(&self.inner.memory);
            return Ok(());
        }
        let inner = Arc::clone(&self.inner);
        let writing = tokio::task::spawn_blocking(move || {
            *turn = turn.saturating_add(1);
            commit(&inner.database, &change).map_err(unreachable)?;
            apply(&inner.memory);
            Ok(())
        });
        let stopped = |_| {
            Err(StoreError::Unreachable(
                "the runtime is shutting down".into(),
            ))
        };
        writing.await.unwrap_or_else(stopped)
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded")
            .field("memory", &self.inner.memory)
            .finish_non_exhaustive()
    }
}

impl Store for Embedded {
    fn mappings(&self) -> Arc<Vec<Mapping>> {
        self.inner.memory.mappings()
    }

    async fn insert(&self, mapping: Mapping) -> Result<Insert, StoreError> {
        self.change_mappings(|memory| memory.insert_now(mapping))
            .await
    }

    async fn remove(&self, which: Which<'_>, by: Owner) -> Result<Removed, StoreError> {
        let change = |memory: &Memory| Ok(memory.remove_now(which, &by));
        self.change_mappings(change).await
    }

    async fn forget(&self, mappings: &[Mapping]) -> Result<usize, StoreError> {
        let change = |memory: &Memory| Ok(memory.forget_now(mappings));
        self.change_mappings(change).await
    }

    fn elements(&self) -> Arc<Vec<Element>> {
        self.inner.memory.elements()
    }

    async fn edit_elements<E: Send>(
        &self,
        edit: impl Fn(&mut Vec<Element>) -> Result<(), E> + Send,
    ) -> Result<Result<(), E>, StoreError> {
        let turn = Arc::clone(&self.inner.next).lock_owned().await;
        let before = self.inner.memory.elements();
        let mut after = before.to_vec();
        if let Err(refused) = edit(&mut after) {
            return Ok(Err(refused));
        }
        let limit = self.inner.memory.capacity();
        if after.len() > limit.max(before.len()) {
            return Err(StoreError::Full { limit });
        }
        let rows = difference(&before, &after, *turn, element_key, encode_element)?;
        let table = ELEMENTS;
        let apply = move |memory: &Memory| memory.replace_elements(after);
        self.write(turn, Change { table, rows }, apply).await?;
        Ok(Ok(()))
    }
}

fn unreachable(error: redb::Error) -> StoreError {
    StoreError::Unreachable(error.to_string())
}

/// Opens a file for its owner alone.
fn open_private(path: &Path) -> std::io::Result<File> {
    let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_link)
        .open(path)
}

type Rows<T> = Vec<(u64, T)>;

/// Everything in a file.
fn load(file: File) -> Result<(Database, Rows<Mapping>, Rows<Element>), StoreError> {
    let backend = FileBackend::new(file).map_err(|error| unreachable(error.into()))?;
    let database = Database::builder()
        .set_cache_size(CACHE)
        .create_with_backend(backend)
        .map_err(|error| unreachable(error.into()))?;
    let boot = process::boot();
    let is_this_start = renew_boot(&database, boot.as_bytes()).map_err(unreachable)?;
    let mut mappings = Vec::new();
    each(&database, MAPPINGS, |value| {
        let (order, mut mapping) = decode_mapping(value)?;
        mapping.process = mapping.process.map(|it| aged(it, is_this_start));
        mappings.push((order, mapping));
        Ok(())
    })?;
    let mut elements = Vec::new();
    each(&database, ELEMENTS, |value| {
        let (order, element) = decode_element(value)?;
        let process = element.process.map(|it| aged(it, is_this_start));
        elements.push((order, element.by(process)));
        Ok(())
    })?;
    Ok((database, mappings, elements))
}

/// A process of an earlier start of the machine is gone, whoever has its number now.
fn aged(process: Process, is_this_start: bool) -> Process {
    match is_this_start {
        true => process,
        false => Process::GONE,
    }
}

/// Notes which start of the machine this is; whether it was noted already.
fn renew_boot(database: &Database, boot: &[u8]) -> Result<bool, redb::Error> {
    let writing = database.begin_write()?;
    let known = {
        let mut about = writing.open_table(ABOUT)?;
        // So that a new file has its tables.
        drop((writing.open_table(MAPPINGS)?, writing.open_table(ELEMENTS)?));
        let known = about.get(BOOT)?.is_some_and(|there| there.value() == boot);
        about.insert(BOOT, boot)?;
        known
    };
    writing.commit()?;
    Ok(known)
}

fn each(
    database: &Database,
    table: Table,
    mut take: impl FnMut(&[u8]) -> Result<(), farcall_wire::DecodeError>,
) -> Result<(), StoreError> {
    let values = || -> Result<Vec<Vec<u8>>, redb::Error> {
        let reading = database.begin_read()?;
        let table = reading.open_table(table)?;
        let mut values = Vec::new();
        for row in table.iter()? {
            values.push(row?.1.value().to_vec());
        }
        Ok(values)
    };
    for value in values().map_err(unreachable)? {
        take(&value).map_err(|error| StoreError::Damaged(error.to_string()))?;
    }
    Ok(())
}

fn commit(database: &Database, change: &Change) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
    {
        let mut table = writing.open_table(change.table)?;
        for (key, value) in &change.rows {
            match value {
                Some(value) => drop(table.insert(key.as_slice(), value.as_slice())?),
                None => drop(table.remove(key.as_slice())?),
            }
        }
    }
    writing.commit()?;
    Ok(())
}

/// Where a mapping is in its table: there is one in each slot.
fn mapping_key(mapping: &Mapping) -> Vec<u8> {
    let slot = mapping.slot;
    let mut key = slot.program.to_be_bytes().to_vec();
    key.extend(slot.version.to_be_bytes());
    key.extend(slot.netid.name().as_bytes());
    key
}

/// Where an element is in its table: the same way to the same object is there once.
fn element_key(element: &Element) -> Vec<u8> {
    let mut key = element.object.to_bytes_be().to_vec();
    key.extend(element.tower.to_bytes());
    key
}

/// What must be written to come from one list to the other. New ones, and those that are different, get this number.
fn difference<T: PartialEq>(
    before: &[T],
    after: &[T],
    order: u64,
    key: impl Fn(&T) -> Vec<u8>,
    encode: impl Fn(&T, u64) -> Result<Vec<u8>, EncodeError>,
) -> Result<NewRows, StoreError> {
    let mut there: BTreeMap<Vec<u8>, &T> = before.iter().map(|it| (key(it), it)).collect();
    let mut rows = Vec::new();
    for new in after {
        let key = key(new);
        if there.remove(&key) != Some(new) {
            let value = encode(new, order);
            let value = value.map_err(|error| StoreError::Unreachable(error.to_string()))?;
            rows.push((key, Some(value)));
        }
    }
    rows.extend(there.into_keys().map(|key| (key, None)));
    Ok(rows)
}

#[cfg(test)]
mod tests;
