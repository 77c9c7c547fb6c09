//! Our clients and a domain controller of Samba's: its endpoint mapper, its accounts, its name
//! translation, under NTLM, SPNEGO and Kerberos.

use std::sync::Arc;

use farcall::client::Options;
use farcall::generated::epmapper::{self, ept};
use farcall::generated::mgmt::mgmt;
use farcall::generated::rpcecho::rpcecho;
use farcall::stub::Interface;
use farcall::{Cause, Client, Error};
use farcall_conformance::dce::{Way, runtime};
use farcall_conformance::interfaces::{drsuapi, dssetup, lsarpc, netlogon, samr};
use farcall_conformance::peer::available;
use farcall_conformance::peer::samba::{self, DOMAIN, Domain, HOST, USER};
use farcall_conformance::{case, network_test};
use farcall_dce::security::AuthLevel;
use farcall_security::{Credentials, Password};
use farcall_wire::Uuid;
use farcall_wire::ndr::{Syntax, WideStr};

/// The controller, found through its endpoint mapper.
const CONTROLLER: &str = "ncacn_ip_tcp:dcedc.dce.test";

/// The endpoint mapper itself.
const MAPPER: &str = "ncacn_ip_tcp:dcedc.dce.test[135]";

fn domain() -> Option<Domain> {
    available(samba::NEEDS).then(|| Domain::start().expect("start the domain controller"))
}

/// Everything that the mapper has, some elements at a time.
async fn listing(options: Options) -> Result<Vec<epmapper::EptEntryT>, Error> {
    let client = ept::Client::connect_with(MAPPER, options).await?;
    let (mut handle, mut all) = (epmapper::EptLookupHandleT::default(), Vec::new());
    loop {
        let out = client
            .lookup(0, &Default::default(), &Default::default(), 1, handle, 20)
            .await?;
        handle = out.entry_handle;
        all.extend(out.entries);
        // The end: a status that says so, or a null handle; peers differ.
        if out.status != 0 || handle == epmapper::EptLookupHandleT::default() {
            return Ok(all);
        }
    }
}

fn text(it: &samr::RpcUnicodeString) -> String {
    let units: Vec<u16> = it.buffer.iter().flatten().copied().collect();
    String::from_utf16_lossy(&units)
}

fn string(it: &str) -> samr::RpcUnicodeString {
    let units: Vec<u16> = it.encode_utf16().collect();
    let length = u16::try_from(units.len() * 2).expect("a short text");
    samr::RpcUnicodeString {
        length,
        maximum_length: length,
        buffer: Some(units),
    }
}

/// The names of the users of the domain, asked with these options.
async fn users(options: Options) -> Result<Vec<String>, Error> {
    let client = samr::samr::Client::connect_with(CONTROLLER, options).await?;
    let revision = samr::SamprRevisionInfo::V1(samr::SamprRevisionInfoV1 {
        revision: 3,
        supported_features: 0,
    });
    let server = client
        .samr_connect5(
            &Some(WideStr::from(HOST)),
            samr::MAXIMUM_ALLOWED,
            1,
            &revision,
        )
        .await?;
    assert_eq!(server.result, 0, "SamrConnect5");
    let domains = client
        .samr_enumerate_domains_in_sam_server(server.server_handle, 0, 4096)
        .await?;
    let names: Vec<String> = domains
        .buffer
        .iter()
        .flat_map(|all| all.buffer.iter().flatten())
        .map(|one| text(&one.name))
        .collect();
    assert_eq!(names, [DOMAIN, "BUILTIN"]);
    let found = client
        .samr_lookup_domain_in_sam_server(server.server_handle, &string(DOMAIN))
        .await?;
    let sid = found.domain_id.expect("the SID of the domain");
    let domain = client
        .samr_open_domain(server.server_handle, samr::MAXIMUM_ALLOWED, &sid)
        .await?;
    assert_eq!(domain.result, 0, "SamrOpenDomain");
    let listed = client
        .samr_enumerate_users_in_domain(domain.domain_handle, 0, 0, 65_536)
        .await?;
    for handle in [domain.domain_handle, server.server_handle] {
        let closed = client.samr_close_handle(handle).await?;
        assert_eq!(closed.sam_handle, samr::SamprHandle::default());
    }
    let all = listed
        .buffer
        .into_iter()
        .flat_map(|all| all.buffer)
        .flatten();
    Ok(all.map(|one| text(&one.name)).collect())
}

/// What is called of the controller in every way and at every level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    /// A look-up in the endpoint mapper.
    Lookup,
    /// The management interface, of the endpoint mapper.
    Management,
    /// A challenge of netlogon.
    Challenge,
    /// The role of the machine.
    Role,
    /// A handle of the accounts.
    Accounts,
    /// A handle of the directory's replication.
    Directory,
    /// A handle of the policy.
    Policy,
}

/// What comes of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It ran and said that all is well.
    Done,
    /// It ran and said otherwise.
    Status(u32),
    /// The controller refused it with this status.
    Fault(u32),
    /// The syntax in which arguments went is not the one that the controller has.
    Syntax,
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Status(status) => write!(f, "status {status:#010x}"),
            Self::Fault(status) => write!(f, "fault {status:#010x}"),
            Self::Syntax => f.write_str("another syntax"),
        }
    }
}

impl Service {
    fn interface(self) -> (&'static str, &'static Interface) {
        match self {
            Self::Lookup => (MAPPER, &ept::INTERFACE),
            Self::Management => (MAPPER, &mgmt::INTERFACE),
            Self::Challenge => (CONTROLLER, &netlogon::logon::INTERFACE),
            Self::Role => (CONTROLLER, &dssetup::dssetup::INTERFACE),
            Self::Accounts => (CONTROLLER, &samr::samr::INTERFACE),
            Self::Directory => (CONTROLLER, &drsuapi::drsuapi::INTERFACE),
            Self::Policy => (CONTROLLER, &lsarpc::lsarpc::INTERFACE),
        }
    }

    /// Calls one operation, and gives the status that it returned.
    async fn call(self, client: Client) -> Result<u32, Error> {
        match self {
            Self::Lookup => {
                let client = ept::Client::from(client);
                let (none, handle) = (Default::default(), epmapper::EptLookupHandleT::default());
                let out = client
                    .lookup(0, &none, &Default::default(), 1, handle, 20)
                    .await?;
                assert_eq!(out.entries.len(), 20);
                Ok(out.status)
            }
            Self::Management => {
                let out = mgmt::Client::from(client).is_server_listening().await?;
                assert_eq!(out.result, 1);
                Ok(out.status)
            }
            Self::Challenge => {
                let client = netlogon::logon::Client::from(client);
                let challenge = netlogon::NetlogonCredential {
                    data: [1, 2, 3, 4, 5, 6, 7, 8],
                };
                let (host, ours) = (Some(HOST.into()), "OURS".into());
                let out = client
                    .netr_server_req_challenge(&host, &ours, challenge)
                    .await?;
                assert_ne!(out.server_challenge.data, [0; 8]);
                Ok(out.result.cast_unsigned())
            }
            Self::Role => {
                let client = dssetup::dssetup::Client::from(client);
                let level = dssetup::DsrolePrimaryDomainInfoLevel(1);
                let out = client
                    .ds_roler_get_primary_domain_information(level)
                    .await?;
                Ok(out.result)
            }
            Self::Accounts => {
                let client = samr::samr::Client::from(client);
                let revision = samr::SamprRevisionInfo::V1(samr::SamprRevisionInfoV1 {
                    revision: 3,
                    supported_features: 0,
                });
                let host = Some(WideStr::from(HOST));
                let out = client
                    .samr_connect5(&host, samr::MAXIMUM_ALLOWED, 1, &revision)
                    .await?;
                Ok(out.result.cast_unsigned())
            }
            Self::Directory => {
                let client = drsuapi::drsuapi::Client::from(client);
                Ok(client.idl_drs_bind(&None, &None).await?.result)
            }
            Self::Policy => {
                let client = lsarpc::lsarpc::Client::from(client);
                let access = lsarpc::MAXIMUM_ALLOWED;
                let out = client
                    .lsar_open_policy2(&None, &Default::default(), access)
                    .await?;
                Ok(out.result.cast_unsigned())
            }
        }
    }

    /// What comes of calling it with these options.
    async fn outcome(self, options: Options) -> Result<Outcome, Error> {
        let (endpoint, interface) = self.interface();
        let client = Client::connect_interface_with(endpoint, interface, options).await?;
        // Samba's server of this version has no NDR64: what offers both is served in NDR.
        if client
            .packing()
            .is_none_or(|(syntax, _)| syntax != Syntax::Ndr)
        {
            return Ok(Outcome::Syntax);
        }
        match self.call(client).await {
            Ok(0) => Ok(Outcome::Done),
            Ok(status) => Ok(Outcome::Status(status)),
            Err(error) => fault(&error).map(Outcome::Fault).ok_or(error),
        }
    }
}

use Outcome::{Done, Fault};

/// What the controller does about each service, without authentication and at the levels connect, packet, integrity and
/// privacy, whatever proves the user.
const MATRIX: [(Service, [Outcome; 5]); 7] = [
    // Anybody's, at any level.
    (Service::Lookup, [Done, Done, Done, Done, Done]),
    (Service::Management, [Done, Done, Done, Done, Done]),
    // Nobody in particular may ask, but who proves something must protect what he asks.
    (Service::Challenge, [Done, Fault(5), Done, Done, Done]),
    (Service::Role, [Done, Done, Done, Done, Done]),
    (Service::Accounts, [Done, Fault(5), Done, Done, Done]),
    // Its traffic has secrets.
    (
        Service::Directory,
        [Fault(5), Fault(5), Fault(5), Fault(5), Done],
    ),
    // Over TCP for netlogon's own mechanism alone.
    (
        Service::Policy,
        [Fault(5), Fault(5), Fault(5), Fault(5), Fault(5)],
    ),
];

/// The levels at which the controller's accounts are reached.
const LEVELS: [AuthLevel; 3] = [AuthLevel::PKT, AuthLevel::INTEGRITY, AuthLevel::PRIVACY];

fn fault(error: &Error) -> Option<u32> {
    match error.cause() {
        Cause::Fault(status) => Some(*status),
        _ => None,
    }
}

network_test! {
    fn its_endpoint_mapper_and_management_are_asked() {
        let Some(_domain) = domain() else { return };
        runtime().block_on(async {
            let all = listing(Options::default()).await.expect("list");
            let about = |annotation: &str| all.iter().any(|one| {
                String::from_utf8_lossy(&one.annotation).contains(annotation)
            });
            assert!(all.len() > 20, "{} elements", all.len());
            for name in ["samr", "lsarpc", "netlogon", "drsuapi"] {
                assert!(about(name), "{name} in {all:?}");
            }
            let client = mgmt::Client::connect(MAPPER).await.expect("connect");
            let out = client.inq_if_ids().await.expect("ask");
            let vector = out.if_id_vector;
            assert!(format!("{vector:?}").contains("e1af8308"), "{vector:?}");
            let listening = client.is_server_listening().await.expect("ask");
            assert_eq!(listening.result, 1);
        });
        case::ran("Samba AD DC", "endpoint mapper and management asked by our client");
    }

    fn its_users_are_listed_by_every_way() {
        let Some(_domain) = domain() else { return };
        let runtime = runtime();
        let mut faults = Vec::new();
        for way in Way::ALL {
            for level in LEVELS {
                for (ndr64, big_endian) in [(false, false), (true, false), (false, true)] {
                    let options = Options { ndr64, big_endian, ..way.options(level) };
                    let form = format!("{way:?} {level} ndr64 {ndr64} big-endian {big_endian}");
                    match runtime.block_on(users(options)) {
                        Ok(names) if names.iter().any(|name| name == USER) => {}
                        Ok(names) => faults.push(format!("{form}: {names:?}")),
                        Err(error) => faults.push(format!("{form}: {error}")),
                    }
                }
            }
            // Accounts are among what Samba lets nobody ask for at that level, whatever the configuration says of others.
            let refused = runtime.block_on(users(way.options(AuthLevel::CONNECT)));
            let refused = refused.expect_err("accounts at level connect");
            if fault(&refused) != Some(5) {
                faults.push(format!("{way:?} connect: {refused}"));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        case::ran("Samba AD DC", "samr under NTLM, SPNEGO and Kerberos at packet, integrity and privacy");
    }

    fn each_of_its_services_answers_every_way_at_every_level() {
        let Some(_domain) = domain() else { return };
        let runtime = runtime();
        let mut faults = Vec::new();
        let mut check = |form: String, outcome: Result<Outcome, Error>, expected: Outcome| match outcome {
            Ok(outcome) if outcome == expected => {}
            Ok(outcome) => faults.push(format!("{form}: {outcome:?}, not {expected:?}")),
            Err(error) => faults.push(format!("{form}: {error}, not {expected:?}")),
        };
        let levels = [AuthLevel::CONNECT, AuthLevel::PKT, AuthLevel::INTEGRITY, AuthLevel::PRIVACY];
        for (service, [open, protected @ ..]) in MATRIX {
            for ndr64 in [false, true] {
                let options = Options { ndr64, ..Options::default() };
                let outcome = runtime.block_on(service.outcome(options));
                check(format!("{service:?} ndr64 {ndr64} open"), outcome, open);
                for way in Way::ALL {
                    for (level, expected) in levels.into_iter().zip(protected) {
                        let mut options = Options { ndr64, ..way.options(level) };
                        // Samba signs headers with whoever offers it.
                        if let Some(credentials) = &mut options.credentials {
                            credentials.require_header_signing = true;
                        }
                        let outcome = runtime.block_on(service.outcome(options));
                        check(format!("{service:?} ndr64 {ndr64} {way:?} {level}"), outcome, expected);
                    }
                }
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        case::ran("Samba AD DC", "seven services under no authentication, NTLM, SPNEGO and Kerberos at every level");
    }

    fn its_other_services_answer_us() {
        let Some(_domain) = domain() else { return };
        runtime().block_on(async {
            let options = || Way::SpnegoKerberos.options(AuthLevel::PRIVACY);

            let client = netlogon::logon::Client::connect(CONTROLLER).await.expect("connect");
            let challenge = netlogon::NetlogonCredential { data: [1, 2, 3, 4, 5, 6, 7, 8] };
            let out = client
                .netr_server_req_challenge(&Some(HOST.into()), &"OURS".into(), challenge)
                .await
                .expect("a challenge");
            assert_eq!(out.result, 0);
            assert_ne!(out.server_challenge.data, [0; 8]);
            let found = client
                .dsr_get_dc_name(&None, &Some("dce.test".into()), &None, &None, 0)
                .await
                .expect("the name of a controller");
            let info = found.domain_controller_info.expect("a controller");
            let name = info.domain_controller_name.expect("its name").to_text().expect("text");
            assert!(name.to_lowercase().contains("dcedc"), "{name}");

            let client = dssetup::dssetup::Client::connect_with(CONTROLLER, options()).await.expect("connect");
            let level = dssetup::DsrolePrimaryDomainInfoLevel(1);
            let out = client.ds_roler_get_primary_domain_information(level).await.expect("ask");
            let Some(dssetup::DsrolerPrimaryDomainInformation::DomainInfoBasic(basic)) = out.domain_info else {
                panic!("{out:?}");
            };
            assert_eq!(basic.machine_role.0, 5, "a primary domain controller");
            let dns = basic.domain_name_dns.expect("a name").to_text().expect("text");
            assert_eq!(dns, "dce.test");

            let client = drsuapi::drsuapi::Client::connect_with(CONTROLLER, options()).await.expect("connect");
            crack_names(&client).await;

            // Over TCP, policies are for netlogon security alone.
            let client = lsarpc::lsarpc::Client::connect_with(CONTROLLER, options()).await.expect("connect");
            let refused = client
                .lsar_open_policy2(&None, &Default::default(), lsarpc::MAXIMUM_ALLOWED)
                .await
                .expect_err("a policy over TCP");
            assert_eq!(fault(&refused), Some(5), "{refused}");
        });
        case::ran("Samba AD DC", "netlogon, dssetup, drsuapi, lsarpc called by our client");
    }

    fn what_it_does_not_offer_is_refused_in_its_words() {
        let Some(_domain) = domain() else { return };
        runtime().block_on(async {
            let refused = match rpcecho::Client::connect(MAPPER).await {
                Err(refused) => refused,
                Ok(client) => {
                    let called = client.add_one(1).await;
                    called.expect_err("an interface that is not there")
                }
            };
            assert!(refused.to_string().contains("interface"), "{refused}");
            let mut wrong = Way::Ntlm.options(AuthLevel::INTEGRITY);
            let nobody = Credentials::ntlm(USER, DOMAIN, &Password::new("not it".to_owned()));
            if let Some(credentials) = &mut wrong.credentials {
                credentials.initiator = Arc::new(nobody);
            }
            let refused = users(wrong).await.expect_err("a wrong password");
            println!("{refused}");
        });
        case::ran("Samba AD DC", "refusals told to our client");
    }
}

/// Translates a name of the domain into its DNS form.
async fn crack_names(client: &drsuapi::drsuapi::Client) {
    let extensions = drsuapi::DrsExtensions {
        cb: 28,
        rgb: vec![0; 28],
    };
    // NTDSAPI_CLIENT_GUID of [MS-DRSR] 5.138: a client that is no domain controller.
    let own = Uuid::new(
        0xe24d_201a,
        0x4fd6,
        0x11d1,
        [0xa3, 0xda, 0, 0, 0xf8, 0x75, 0xae, 0x0d],
    );
    let bound = client
        .idl_drs_bind(&Some(own), &Some(extensions))
        .await
        .expect("bind");
    assert_eq!(bound.result, 0, "IDL_DRSBind");
    let request = drsuapi::DrsMsgCrackreq::V1(drsuapi::DrsMsgCrackreqV1 {
        // From DOMAIN\ to the canonical form.
        format_offered: 2,
        format_desired: 7,
        c_names: 1,
        rp_names: Some(vec![Some(WideStr::from("DCE\\"))]),
        ..Default::default()
    });
    let out = client
        .idl_drs_crack_names(bound.ph_drs, 1, &request)
        .await
        .expect("translate");
    let drsuapi::DrsMsgCrackreply::V1(reply) = out.pmsg_out;
    let items = reply
        .p_result
        .and_then(|result| result.r_items)
        .expect("a result");
    let name = items[0]
        .p_name
        .as_ref()
        .map(|name| name.to_text().expect("text"));
    assert_eq!(name.as_deref(), Some("dce.test/"));
    client.idl_drs_unbind(bound.ph_drs).await.expect("unbind");
}
