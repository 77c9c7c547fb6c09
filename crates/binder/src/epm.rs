//! The endpoint mapper over one directory: the eight operations of its interface.
//!
//! Read first: C706 appendix O and MS-RPCE sections 2.2.1.2 and 3.1.1.5. The rules stand in
//! [`directory`](crate::directory); this file only translates, and pages long lists. How a list ends, peers do not agree
//! on: those that ask for many elements at once want the last of them with a null handle and a good status, those that
//! ask for few go on until a status says that there are no more. Both get what they expect, by how much they ask for.

use crate::directory::{Directory, Inquiry, Refused, Versions, reachable};
use crate::element::Element;
use crate::mapping::Owner;
use crate::process::Process;
use crate::store::Store;
use core::net::{IpAddr, Ipv4Addr};
use farcall::generated::epmapper::ept::{
    InqObjectOut, LookupHandleFreeOut, LookupOut, MapAuthOut, MapOut, Server,
};
use farcall::generated::epmapper::{
    EptEntryT, EptLookupHandleT, Guid, RPC_C_EP_ALL_ELTS, RPC_C_EP_MATCH_BY_BOTH,
    RPC_C_EP_MATCH_BY_IF, RPC_C_EP_MATCH_BY_OBJ, RpcIfId, RpcSid, TwrT,
};
use farcall::{Call, Peer, Refuse};
use farcall_dce::syntax::SyntaxId;
use farcall_dce::tower::Tower;
use farcall_wire::ndr::{ContextHandle, Full};
use farcall_wire::{Str, Uuid};
use std::sync::Arc;

/// It went well.
const OK: u32 = 0;
/// Not here, or not for this caller.
const CANT_PERFORM: u32 = 0x0000_06d8;
/// An element that nobody could call.
const INVALID_ENTRY: u32 = 0x16c9_a0d3;
/// The registry is full or cannot be reached.
const UPDATE_FAILED: u32 = 0x16c9_a0d4;
/// Nothing, or nothing more.
const NOT_REGISTERED: u32 = 0x16c9_a0d6;

/// Callers that ask for fewer than this at a time go on until the status says that there are no more.
const MANY: u32 = 100;

/// The endpoint mapper as a service: give it to [`ept::service`](farcall::generated::epmapper::ept::service).
#[derive(Debug)]
pub struct EndpointMapper<S> {
    directory: Arc<Directory<S>>,
    /// Names this mapper in `ept_inq_object`.
    object: Uuid,
}

impl<S> EndpointMapper<S> {
    /// The protocol over this directory. `object` names this mapper.
    #[must_use]
    pub fn new(directory: Arc<Directory<S>>, object: Uuid) -> Self {
        Self { directory, object }
    }
}

/// What is still to be told of a list.
struct Listing<T>(std::vec::IntoIter<T>);

/// One page of a list.
struct Page<T> {
    handle: ContextHandle,
    items: Vec<T>,
    status: u32,
}

/// The next page of a list: of the one behind `handle`, or of a new one.
async fn page<T: Send + Sync + 'static>(
    call: &Call,
    handle: ContextHandle,
    most: u32,
    new: impl FnOnce() -> Vec<T>,
) -> Result<Page<T>, Refuse> {
    let is_new = handle == ContextHandle::default();
    let (items, left) = if is_new {
        let mut listing = Listing(new().into_iter());
        let items = take(&mut listing, most);
        let left = listing.0.len();
        let handle = match left > 0 || is_paged(items.len(), most) {
            true => call.open(listing)?,
            false => ContextHandle::default(),
        };
        return Ok(told(handle, items, left, most));
    } else {
        let mut listing = call.held::<Listing<T>>(&handle).await?;
        let items = take(&mut listing, most);
        (items, listing.0.len())
    };
    let handle = match left > 0 || is_paged(items.len(), most) {
        true => handle,
        false => call.close(&handle)?,
    };
    Ok(told(handle, items, left, most))
}

fn take<T>(listing: &mut Listing<T>, most: u32) -> Vec<T> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    listing.0.by_ref().take(most).collect()
}

/// Whether the caller will ask for one more page whatever it is told: it asks for few, and got as many.
fn is_paged(count: usize, most: u32) -> bool {
    (1..MANY).contains(&most) && usize::try_from(most) == Ok(count)
}

fn told<T>(handle: ContextHandle, items: Vec<T>, left: usize, most: u32) -> Page<T> {
    let ended = left == 0 && !is_paged(items.len(), most);
    let status = match ended && (items.is_empty() || most < MANY) {
        true => NOT_REGISTERED,
        false => OK,
    };
    Page {
        handle,
        items,
        status,
    }
}

impl<S: Store> EndpointMapper<S> {
    /// The ways that a tower asks for, each of them once.
    fn ways(&self, call: &Call, object: &Full<Guid>, tower: &Full<TwrT>) -> Vec<Tower> {
        let asked = tower
            .value()
            .map(|twr| Tower::parse(&twr.tower_octet_string));
        let Some(Ok(asked)) = asked else {
            return Vec::new();
        };
        let object = object.value().copied().filter(|object| !object.is_nil());
        let host = reached_at(call);
        let found = self.directory.map(object, &asked);
        let mut ways: Vec<Tower> = Vec::with_capacity(found.len());
        for element in &found {
            let way = reachable(element, host);
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        ways
    }

    async fn map_any(
        &self,
        call: &Call,
        object: &Full<Guid>,
        tower: &Full<TwrT>,
        handle: EptLookupHandleT,
        most: u32,
    ) -> Result<MapOut, Refuse> {
        let page = page(call, handle.0, most, || self.ways(call, object, tower)).await?;
        let towers: Vec<_> = page.items.iter().map(|way| Full::new(twr(way))).collect();
        // Unlike a look-up, a map that found something says so.
        let status = match towers.is_empty() {
            true => page.status,
            false => OK,
        };
        Ok(MapOut {
            entry_handle: EptLookupHandleT(page.handle),
            num_towers: count(towers.len()),
            i_towers: towers,
            status,
        })
    }

    /// Elements as a caller sends them, made its own.
    fn elements(
        entries: Vec<EptEntryT>,
        owner: &Owner,
        process: Option<Process>,
    ) -> Option<Vec<Element>> {
        let elements = entries.into_iter().map(|entry| {
            let tower = Tower::parse(&entry.tower.value()?.tower_octet_string).ok()?;
            let element = Element::new(entry.object, tower, &entry.annotation, owner.clone());
            element.map(|element| element.by(process))
        });
        elements.collect()
    }
}

impl<S: Store> Server for EndpointMapper<S> {
    async fn insert(
        &self,
        call: &Call,
        _: u32,
        entries: Vec<EptEntryT>,
        replace: u32,
    ) -> Result<u32, Refuse> {
        let Some(owner) = registrant(call) else {
            return Ok(CANT_PERFORM);
        };
        let Some(elements) = Self::elements(entries, &owner, process(call)) else {
            return Ok(INVALID_ENTRY);
        };
        let inserted = self.directory.insert(elements, replace != 0).await;
        Ok(inserted.map_or_else(|why| status(call, &why), |()| OK))
    }

    async fn delete(&self, call: &Call, _: u32, entries: Vec<EptEntryT>) -> Result<u32, Refuse> {
        let Some(owner) = registrant(call) else {
            return Ok(CANT_PERFORM);
        };
        let Some(elements) = Self::elements(entries, &owner, process(call)) else {
            return Ok(INVALID_ENTRY);
        };
        let deleted = self.directory.delete(&elements, &owner).await;
        Ok(deleted.map_or_else(|why| status(call, &why), |()| OK))
    }

    async fn lookup(
        &self,
        call: &Call,
        inquiry_type: u32,
        object: Full<Guid>,
        ifid: Full<RpcIfId>,
        vers_option: u32,
        entry_handle: EptLookupHandleT,
        max_ents: u32,
    ) -> Result<LookupOut, Refuse> {
        let inquiry = inquiry(inquiry_type, &object, &ifid, vers_option);
        let list = || inquiry.map_or_else(Vec::new, |inquiry| self.directory.lookup(&inquiry));
        let page = page(call, entry_handle.0, max_ents, list).await?;
        let host = reached_at(call);
        Ok(LookupOut {
            entry_handle: EptLookupHandleT(page.handle),
            num_ents: count(page.items.len()),
            entries: page.items.iter().map(|it| entry(it, host)).collect(),
            status: page.status,
        })
    }

    async fn map(
        &self,
        call: &Call,
        obj: Full<Guid>,
        map_tower: Full<TwrT>,
        entry_handle: EptLookupHandleT,
        max_towers: u32,
    ) -> Result<MapOut, Refuse> {
        self.map_any(call, &obj, &map_tower, entry_handle, max_towers)
            .await
    }

    async fn lookup_handle_free(
        &self,
        call: &Call,
        entry_handle: EptLookupHandleT,
    ) -> Result<LookupHandleFreeOut, Refuse> {
        let null = ContextHandle::default();
        let handle = match entry_handle.0 == null {
            true => null,
            false => call.close(&entry_handle.0)?,
        };
        Ok(LookupHandleFreeOut {
            entry_handle: EptLookupHandleT(handle),
            status: OK,
        })
    }

    async fn inq_object(&self, _: &Call) -> Result<InqObjectOut, Refuse> {
        Ok(InqObjectOut {
            ept_object: self.object,
            status: OK,
        })
    }

    async fn mgmt_delete(
        &self,
        call: &Call,
        object_speced: u32,
        object: Full<Guid>,
        tower: Full<TwrT>,
    ) -> Result<u32, Refuse> {
        let object = object.value().copied().filter(|_| object_speced != 0);
        let entry = EptEntryT {
            object: object.unwrap_or(Uuid::NIL),
            tower,
            annotation: Str::default(),
        };
        self.delete(call, 1, vec![entry]).await
    }

    async fn map_auth(
        &self,
        call: &Call,
        obj: Full<Guid>,
        map_tower: Full<TwrT>,
        _: Full<RpcSid>,
        entry_handle: EptLookupHandleT,
        max_towers: u32,
    ) -> Result<MapAuthOut, Refuse> {
        let out = self
            .map_any(call, &obj, &map_tower, entry_handle, max_towers)
            .await?;
        Ok(MapAuthOut {
            entry_handle: out.entry_handle,
            num_towers: out.num_towers,
            i_towers: out.i_towers,
            status: out.status,
        })
    }
}

/// As whom a caller may register: it is of this machine, and known.
// req: dce-epm-registrant
fn registrant(call: &Call) -> Option<Owner> {
    if !call.peer().is_local() {
        return None;
    }
    match (call.peer(), call.principal()) {
        // Whoever embeds the mapper may do with it what it likes.
        (Peer::InProcess, _) => Some(Owner::Superuser),
        (Peer::Unix { uid, .. }, _) => Some(Owner::of_user(uid)),
        (_, Some(principal)) => Some(Owner::Principal(principal.to_string().into())),
        (_, None) => None,
    }
}

/// The process of a caller, if the kernel told.
fn process(call: &Call) -> Option<Process> {
    match call.peer() {
        Peer::Unix { pid, .. } => Process::of(pid?),
        _ => None,
    }
}

fn status(call: &Call, why: &Refused) -> u32 {
    tracing::info!(peer = %call.peer(), %why, "registration refused");
    match why {
        Refused::NotRegistered => NOT_REGISTERED,
        Refused::Store(_) => UPDATE_FAILED,
        Refused::Foreign(_) => CANT_PERFORM,
    }
}

/// What a look-up is about; nothing if it contradicts itself.
fn inquiry(
    inquiry_type: u32,
    object: &Full<Guid>,
    interface: &Full<RpcIfId>,
    vers_option: u32,
) -> Option<Inquiry> {
    let by_interface = || {
        let id = interface.value()?;
        let id = SyntaxId {
            uuid: id.uuid,
            major: id.vers_major,
            minor: id.vers_minor,
        };
        Some((id, Versions::from_number(vers_option)?))
    };
    let by_object = || Some(object.value().copied().unwrap_or(Uuid::NIL));
    Some(match inquiry_type {
        RPC_C_EP_ALL_ELTS => Inquiry::default(),
        RPC_C_EP_MATCH_BY_IF => Inquiry {
            interface: Some(by_interface()?),
            object: None,
        },
        RPC_C_EP_MATCH_BY_OBJ => Inquiry {
            interface: None,
            object: by_object(),
        },
        RPC_C_EP_MATCH_BY_BOTH => Inquiry {
            interface: Some(by_interface()?),
            object: by_object(),
        },
        _ => return None,
    })
}

/// The IPv4 address at which the caller reached us.
fn reached_at(call: &Call) -> Option<Ipv4Addr> {
    match call.local_address()?.ip().to_canonical() {
        IpAddr::V4(host) if !host.is_unspecified() => Some(host),
        _ => None,
    }
}

fn entry(element: &Element, host: Option<Ipv4Addr>) -> EptEntryT {
    EptEntryT {
        object: element.object,
        tower: Full::new(twr(&reachable(element, host))),
        annotation: Str::from(element.annotation.clone()),
    }
}

fn twr(tower: &Tower) -> TwrT {
    let bytes = tower.to_bytes();
    TwrT {
        tower_length: count(bytes.len()),
        tower_octet_string: bytes,
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use farcall::generated::epmapper::ept::Client;
    use farcall_dce::tower::Protseq;

    fn clock() -> EptEntryT {
        let id = SyntaxId {
            uuid: Uuid::new(1, 2, 3, [4; 8]),
            major: 1,
            minor: 0,
        };
        let host = Ipv4Addr::LOCALHOST;
        let tower = Tower::new(id, SyntaxId::NDR, Protseq::Tcp, "77", host).expect("a port");
        EptEntryT {
            object: Uuid::NIL,
            tower: Full::new(twr(&tower)),
            annotation: Str::from("clock"),
        }
    }

    #[tokio::test]
    async fn strangers_and_nobody_register_nothing() {
        let binder = crate::Binder::builder().listen("ncacn_ip_tcp:127.0.0.1[0]");
        let binder = binder.start().await.expect("started");
        let at = &binder.endpoints()[0];
        let (nobody, ours) = (
            Client::connect(at).await.expect("connects"),
            Client::in_process(binder.server()).expect("connects"),
        );
        let entries = vec![clock()];
        let told = nobody.insert(1, &entries, 0).await.expect("told");
        assert_eq!(told, CANT_PERFORM);
        assert_eq!(ours.insert(1, &entries, 0).await.expect("told"), OK);
        let told = nobody.delete(1, &entries).await.expect("told");
        assert_eq!(told, CANT_PERFORM);
        let map = nobody.map(&Full::Null, &entries[0].tower, Default::default(), 9);
        let found = map.await.expect("told");
        assert_eq!((found.num_towers, found.status), (1, OK));
        assert_eq!(ours.delete(1, &entries).await.expect("told"), OK);
        binder.drain(std::time::Duration::ZERO).await;
    }

    #[test]
    fn a_list_ends_as_its_reader_expects() {
        let end = |items: usize, left, most| {
            told(ContextHandle::default(), vec![(); items], left, most).status
        };
        // Many at once: everything with a good status.
        assert_eq!((end(3, 0, 500), end(0, 0, 500)), (OK, NOT_REGISTERED));
        // Few at a time: full pages, then the end, which the status tells.
        assert_eq!((end(10, 3, 10), end(3, 0, 10)), (OK, NOT_REGISTERED));
        assert_eq!((end(10, 0, 10), end(0, 0, 10)), (OK, NOT_REGISTERED));
        assert!(is_paged(10, 10) && !is_paged(9, 10) && !is_paged(500, 500));
        // None at all: whoever asks for no element gets none, and may go on.
        assert_eq!(end(0, 3, 0), OK);
    }
}
