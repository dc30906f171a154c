//! What a server at work has at a moment, for whoever looks for what is left over: told every ten
//! seconds at the level `debug`, as `tertulia::vitals`.

use std::time::Duration;

use tertulia::Homeserver;
use tokio::{runtime::Handle, time::interval};
use tracing::debug;

/// How often it is told.
const EVERY: Duration = Duration::from_secs(10);

/// Tells for as long as it runs.
pub(crate) async fn tell(homeserver: Homeserver) {
    let mut ticks = interval(EVERY);
    loop {
        ticks.tick().await;
        let tasks = Handle::current().metrics().num_alive_tasks();
        debug!(target: "tertulia::vitals", tasks, waiting_syncs = homeserver.waiting_syncs(), "alive");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use tertulia_storage::MemoryEngine;
    use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _};

    use super::*;

    /// Where lines are written to.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn tasks_and_polls_are_told() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true);
        let targets = Targets::new().with_target("tertulia::vitals", tracing::Level::DEBUG);
        let subscriber = tracing_subscriber::registry()
            .with(targets)
            .with(layer.with_writer(move || writer.clone()));
        let _default = tracing::subscriber::set_default(subscriber);
        let server = Homeserver::start("x", MemoryEngine::default()).await.unwrap();
        let telling = tokio::spawn(tell(server.clone()));
        while lines.0.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        telling.abort();
        let told = lines.0.lock().unwrap().clone();
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        assert!(told["tasks"].as_u64().unwrap() > 0, "{told}");
        assert_eq!(told["waiting_syncs"], 0);
        server.shutdown().await;
    }
}
