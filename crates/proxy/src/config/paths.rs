//! Paths of a configuration: what is relative is relative to the folder of its file, from wherever the proxy is started.

use std::path::{Path, PathBuf};

use super::Config;
use super::listen::{Authentication, Helper, Tls};

/// Puts all relative paths below a folder.
pub(super) fn below(config: &mut Config, folder: &Path) {
    let put = |path: &mut PathBuf| *path = folder.join(&*path);
    for listener in &mut config.listeners {
        if let Some(tls) = &mut listener.tls {
            certificates(tls, &put);
        }
        authentication(&mut listener.authentication, folder, &put);
        if let Some(front) = &mut listener.front {
            front.certificates.iter_mut().for_each(put);
        }
    }
    config.policy.names.iter_mut().for_each(put);
    config.audit.file.iter_mut().for_each(put);
    config
        .peers
        .iter_mut()
        .for_each(|peers| put(&mut peers.secret));
    config.tap.iter_mut().for_each(|tap| put(&mut tap.file));
}

fn certificates(tls: &mut Tls, put: &impl Fn(&mut PathBuf)) {
    put(&mut tls.certificate);
    put(&mut tls.key);
    tls.client_ca.iter_mut().for_each(put);
    tls.client_crl.iter_mut().for_each(put);
    for sni in &mut tls.sni {
        put(&mut sni.certificate);
        put(&mut sni.key);
    }
}

fn authentication(all: &mut Authentication, folder: &Path, put: &impl Fn(&mut PathBuf)) {
    let basic = all.basic.iter_mut();
    let ntlm = all.ntlm.iter_mut();
    let negotiate = all.negotiate.iter_mut();
    basic.for_each(|basic| {
        basic.users.iter_mut().for_each(put);
        basic.helper.iter_mut().for_each(|it| program(it, folder));
    });
    let inside = negotiate.flat_map(|negotiate| {
        negotiate.keytab.iter_mut().for_each(put);
        negotiate.ntlm.as_mut()
    });
    ntlm.chain(inside).for_each(|ntlm| {
        ntlm.users.iter_mut().for_each(put);
        ntlm.helper.iter_mut().for_each(|it| program(it, folder));
    });
    all.bearer
        .iter_mut()
        .for_each(|bearer| put(&mut bearer.keys));
}

/// A program's bare name is looked up where programs are.
fn program(helper: &mut Helper, folder: &Path) {
    if helper.program.components().count() > 1 {
        helper.program = folder.join(&helper.program);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_lie_below_the_files_folder_and_absolute_ones_stay() {
        let text = "[[listen]]\nname = \"a\"\nendpoint = \"https://0.0.0.0:443\"\n[listen.tls]\ncertificate = \"c.pem\"\nkey = \"/k.pem\"\nclient-ca = \"ca.pem\"\nclient-crl = [\"r.pem\"]\n\
            sni = [{ names = [\"x\"], certificate = \"s.pem\", key = \"s.key\" }]\n[listen.authentication.basic]\nhelper = { program = \"bin/helper\" }\n\
            [listen.authentication.ntlm]\nhelper = { program = \"ntlm_auth\" }\n[listen.authentication.negotiate]\nkeytab = \"http.keytab\"\nntlm = { users = \"users\" }\n\
            [listen.authentication.bearer]\nkeys = \"keys.json\"\nissuer = \"i\"\naudience = \"a\"\n[listen.front]\ntrusted = []\ncertificates = [\"front.pem\"]\n\
            [policy]\nnames = [\"names.json\"]\n[audit]\nfile = \"audit\"\n[peers]\nlisten = \"/run/one\"\nothers = []\nsecret = \"farm.key\"\n[tap]\nfile = \"../tap.pcap\"\nreason = \"a test\"\n";
        let (mut config, _) = Config::parse(Path::new("p"), text).expect("a configuration");
        below(&mut config, Path::new("/etc/farcall"));
        let listener = &config.listeners[0];
        let tls = listener.tls.as_ref().expect("TLS");
        let all = &listener.authentication;
        let negotiate = all.negotiate.as_ref().expect("negotiate");
        let program = |helper: &Option<Helper>| helper.as_ref().expect("a helper").program.clone();
        let helpers = [
            program(&all.basic.as_ref().expect("basic").helper),
            program(&all.ntlm.as_ref().expect("ntlm").helper),
        ];
        assert_eq!(
            helpers,
            [Path::new("/etc/farcall/bin/helper"), Path::new("ntlm_auth")]
        );
        assert_eq!(tls.key, Path::new("/k.pem"));
        let put = [
            Some(&tls.certificate),
            tls.client_ca.as_ref(),
            tls.client_crl.first(),
            Some(&tls.sni[0].certificate),
            Some(&tls.sni[0].key),
            negotiate.keytab.as_ref(),
            negotiate.ntlm.as_ref().and_then(|ntlm| ntlm.users.as_ref()),
            all.bearer.as_ref().map(|bearer| &bearer.keys),
            listener
                .front
                .as_ref()
                .and_then(|front| front.certificates.first()),
            config.policy.names.first(),
            config.audit.file.as_ref(),
            config.peers.as_ref().map(|peers| &peers.secret),
            config.tap.as_ref().map(|tap| &tap.file),
        ];
        let names: Vec<_> = put
            .into_iter()
            .map(|path| {
                path.expect("a path")
                    .strip_prefix("/etc/farcall")
                    .expect("below")
            })
            .collect();
        let wanted = [
            "c.pem",
            "ca.pem",
            "r.pem",
            "s.pem",
            "s.key",
            "http.keytab",
            "users",
            "keys.json",
            "front.pem",
            "names.json",
            "audit",
            "farm.key",
            "../tap.pcap",
        ];
        assert_eq!(names, wanted.map(Path::new));
    }
}
