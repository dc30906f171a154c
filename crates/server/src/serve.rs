//! `tertulia serve`: from the settings to the last commit.

use std::time::Duration;

use anyhow::Context as _;
use tertulia::Homeserver;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::{
    listeners::{Listeners, Serving},
    open,
    settings::Settings,
    signals::{Signals, Wish},
    telemetry, vitals,
};

/// How long requests may take to end once the server is to stop.
const ANSWERS: Duration = Duration::from_secs(4);
/// How long the store may take to write down what was queued.
const COMMITS: Duration = Duration::from_secs(4);
/// How long reads that block may take before they are left behind.
const THREADS: Duration = Duration::from_secs(1);

/// Serves until a signal says stop.
pub(crate) fn serve(settings: Settings) -> anyhow::Result<()> {
    telemetry::start(&settings.logs)?;
    let runtime = crate::runtime()?;
    let served = runtime.block_on(run(settings));
    runtime.shutdown_timeout(THREADS);
    served
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("signals cannot be listened for")?;
    info!(server_name = %settings.server_name, "starting");
    // Addresses are taken before the store is opened, so that a mistake in them is told at once, and served after
    // it, so that whoever gets an answer can ask for anything.
    let listeners = Listeners::bind(&settings.listeners)?;
    let Some(homeserver) = open_unless_stopped(&mut signals, &settings).await? else {
        return Ok(());
    };
    let router = tertulia_http::router_with(homeserver.clone(), open::http_options(&settings));
    let _vitals = AbortOnDropHandle::new(tokio::spawn(vitals::tell(homeserver.clone())));
    let serving = listeners.serve(&router, open::places(&settings).as_ref())?;
    info!(server_name = %settings.server_name, "ready");
    let ended = until_stopped(signals, serving).await;
    homeserver.stop_waiting();
    let closed = match ended {
        Ok(serving) => serving.close(ANSWERS).await,
        Err(error) => Err(error),
    };
    finish(&homeserver).await;
    closed
}

/// Opens the store; gives nothing if a signal said stop meanwhile. What is opened is not left half open: it is waited
/// for, and closed.
async fn open_unless_stopped(
    signals: &mut Signals,
    settings: &Settings,
) -> anyhow::Result<Option<Homeserver>> {
    let settings = settings.clone();
    // A task of its own, since opening blocks: signals are heard all the while.
    let mut opening = tokio::spawn(async move { open::homeserver(&settings).await });
    loop {
        tokio::select! {
            biased;
            wish = signals.next() => match wish {
                Wish::Stop => break,
                // Certificates were read just now.
                Wish::Reload => {}
            },
            opened = &mut opening => return opened.context("the store was not opened")?.map(Some),
        }
    }
    info!("stopping as soon as the store is open");
    let homeserver = opening.await.context("the store was not opened")??;
    finish(&homeserver).await;
    Ok(None)
}

/// Serves until a signal says stop; gives the listeners back to be closed.
async fn until_stopped(mut signals: Signals, mut serving: Serving) -> anyhow::Result<Serving> {
    loop {
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::Reload => serving.reload_certificates(),
                Wish::Stop => return Ok(serving),
            },
            error = serving.failed() => return Err(error),
        }
    }
}

async fn finish(homeserver: &Homeserver) {
    match timeout(COMMITS, homeserver.shutdown()).await {
        Ok(()) => info!("stopped"),
        Err(_) => {
            warn!("stopped before all queued writes were done; none of them was acknowledged")
        }
    }
}
