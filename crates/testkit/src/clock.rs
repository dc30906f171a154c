//! A clock that stands still until a test moves it.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use ruma::{MilliSecondsSinceUnixEpoch, UInt};
use tertulia::Clock;
use tokio::sync::{oneshot, watch};

/// A clock that stands still until a test moves it. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct DrivenClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    face: Mutex<Face>,
    /// How many sleep; tells those who wait for sleepers.
    sleepers: watch::Sender<usize>,
}

#[derive(Debug)]
struct Face {
    now: Duration,
    /// What has passed, however often the clock was set.
    elapsed: Duration,
    sleepers: Vec<Sleeper>,
}

#[derive(Debug)]
struct Sleeper {
    until: Duration,
    wake: oneshot::Sender<()>,
}

impl Face {
    /// Forgets those who gave up waiting, and tells how many sleep.
    fn count(&mut self) -> usize {
        self.sleepers.retain(|sleeper| !sleeper.wake.is_closed());
        self.sleepers.len()
    }
}

/// Tells those who wait for it that a sleep is over, or was given up.
struct Asleep(Arc<Shared>);

impl Drop for Asleep {
    fn drop(&mut self) {
        let asleep = self.0.face.lock().count();
        self.0.sleepers.send_replace(asleep);
    }
}

impl Default for DrivenClock {
    /// It is the first second of 2026.
    fn default() -> Self {
        let face = Face {
            now: Duration::from_secs(1_767_225_600),
            elapsed: Duration::ZERO,
            sleepers: Vec::new(),
        };
        let shared = Shared { face: Mutex::new(face), sleepers: watch::Sender::new(0) };
        Self { shared: Arc::new(shared) }
    }
}

impl DrivenClock {
    /// Lets `duration` pass: wakes everyone whose sleep ends by then, the shortest sleep first.
    pub fn advance(&self, duration: Duration) {
        let mut face = self.shared.face.lock();
        face.now += duration;
        face.elapsed += duration;
        let now = face.elapsed;
        let (mut due, asleep) =
            face.sleepers.drain(..).partition::<Vec<_>, _>(|sleeper| sleeper.until <= now);
        face.sleepers = asleep;
        self.shared.sleepers.send_replace(face.sleepers.len());
        drop(face);
        due.sort_by_key(|sleeper| sleeper.until);
        for sleeper in due {
            // One who gave up waiting is not there to be woken.
            let _ = sleeper.wake.send(());
        }
    }

    /// Sets the clock forward or back, as an administrator does, or a machine that slept. No time
    /// passes, and nobody wakes.
    ///
    /// # Panics
    ///
    /// If it were set to before 1970.
    pub fn set(&self, leap: Leap) {
        let mut face = self.shared.face.lock();
        face.now = match leap {
            Leap::Forward(by) => face.now + by,
            Leap::Back(by) => face.now.checked_sub(by).expect("there is time before the test"),
        };
    }

    /// Ends as soon as nobody sleeps: all were woken, or gave up.
    pub async fn awake(&self) {
        let mut sleepers = self.shared.sleepers.subscribe();
        let nobody = sleepers.wait_for(|asleep| *asleep == 0).await;
        nobody.expect("the clock holds the sender");
    }

    /// Ends as soon as at least `count` sleep: what a test waits for before it moves the clock.
    pub async fn sleepers(&self, count: usize) {
        let mut sleepers = self.shared.sleepers.subscribe();
        let enough = sleepers.wait_for(|asleep| *asleep >= count).await;
        enough.expect("the clock holds the sender");
    }
}

/// In which direction a clock is set, and by how much.
#[derive(Clone, Copy, Debug)]
pub enum Leap {
    /// Into the future.
    Forward(Duration),
    /// Into the past.
    Back(Duration),
}

impl Clock for DrivenClock {
    fn now(&self) -> MilliSecondsSinceUnixEpoch {
        let now = self.shared.face.lock().now.as_millis();
        let now = u64::try_from(now).ok().and_then(|now| UInt::try_from(now).ok());
        MilliSecondsSinceUnixEpoch(now.expect("no test lasts for millennia"))
    }

    fn elapsed(&self) -> Duration {
        self.shared.face.lock().elapsed
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let (wake, woken) = oneshot::channel();
            // Outlives the wait for `woken`, so that one who gives up is not counted any more.
            let _asleep = Asleep(shared.clone());
            {
                let mut face = shared.face.lock();
                let until = face.elapsed.saturating_add(duration);
                face.sleepers.push(Sleeper { until, wake });
                shared.sleepers.send_replace(face.count());
            }
            woken.await.expect("the clock wakes whom it lets go");
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_their_time_has_come() {
        let clock = DrivenClock::default();
        let begun = clock.now();
        let short = tokio::spawn(clock.sleep(Duration::from_secs(1)));
        let long = tokio::spawn(clock.sleep(Duration::from_secs(60)));
        clock.sleepers(2).await;
        clock.advance(Duration::from_secs(1));
        short.await.unwrap();
        assert!(!long.is_finished());
        clock.advance(Duration::from_secs(59));
        long.await.unwrap();
        assert_eq!(u64::from(clock.now().0) - u64::from(begun.0), 60_000);
    }

    #[tokio::test]
    async fn setting_the_clock_lets_no_time_pass() {
        let clock = DrivenClock::default();
        let (began, day) = (clock.now(), Duration::from_secs(86_400));
        let asleep = tokio::spawn(clock.sleep(Duration::from_secs(60)));
        clock.sleepers(1).await;
        clock.set(Leap::Forward(day));
        assert_eq!(u64::from(clock.now().0) - u64::from(began.0), 86_400_000);
        clock.set(Leap::Back(day));
        assert_eq!((clock.now(), clock.elapsed()), (began, Duration::ZERO));
        assert!(!asleep.is_finished());
        clock.set(Leap::Back(day));
        clock.advance(Duration::from_secs(60));
        asleep.await.unwrap();
    }

    #[tokio::test]
    async fn one_who_gives_up_is_forgotten() {
        let clock = DrivenClock::default();
        let sleeper = tokio::spawn(clock.sleep(Duration::from_secs(1)));
        clock.sleepers(1).await;
        sleeper.abort();
        sleeper.await.unwrap_err();
        clock.awake().await;
        tokio::spawn(clock.sleep(Duration::from_secs(1)));
        clock.sleepers(1).await;
        assert_eq!(clock.shared.face.lock().sleepers.len(), 1);
    }
}
