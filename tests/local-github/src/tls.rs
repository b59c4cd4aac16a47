//! A certificate of the server's own, for clients that speak HTTPS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A port that speaks HTTPS, with a certificate that nobody else trusts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsPort {
    /// `https://<address>:<port>`, for all that the plain URL is for.
    pub url: String,
    /// The certificate, as a PEM file for `SSL_CERT_FILE`.
    pub authority: PathBuf,
}

/// Makes a certificate for a host and writes it into the directory. Returns what serves with it, and the file.
pub(crate) fn acceptor(host: &str, directory: &Path) -> (TlsAcceptor, PathBuf) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([host.to_owned()]).expect("a certificate");
    let file = directory.join(format!("authority-{host}.pem"));
    std::fs::write(&file, cert.pem()).expect("a file for the certificate");
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a certificate that fits its key");
    (TlsAcceptor::from(Arc::new(config)), file)
}
