//! Certificates: read from files, and read again on SIGHUP.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, ensure};
use axum_server::tls_rustls::RustlsConfig;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::settings::Listener;

/// The certificate of one listener, and the files it came from.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    config: RustlsConfig,
}

impl Tls {
    /// Reads the listener's files, if it has any.
    pub(crate) fn of(listener: &Listener) -> anyhow::Result<Option<Self>> {
        let (Some(certificate), Some(key)) = (listener.certificate.clone(), listener.key.clone())
        else {
            return Ok(None);
        };
        let config = RustlsConfig::from_config(read(&certificate, &key)?);
        Ok(Some(Self { certificate, key, config }))
    }

    /// Reads the files again: new connections get what is in them now. If they do not read, nothing changes.
    pub(crate) fn reload(&self) -> anyhow::Result<()> {
        self.config.reload_from_config(read(&self.certificate, &self.key)?);
        Ok(())
    }

    /// What connections are made with.
    pub(crate) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }
}

fn read(certificate: &PathBuf, key: &PathBuf) -> anyhow::Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("the certificate in {} cannot be read", certificate.display()))?;
    ensure!(!chain.is_empty(), "there is no certificate in {}", certificate.display());
    let private = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("the private key in {} cannot be read", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .with_context(|| {
            format!("{} and {} do not go together", certificate.display(), key.display())
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
