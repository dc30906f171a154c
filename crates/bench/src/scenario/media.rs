//! `media`: files of 1 MiB, up and down.

use std::cell::RefCell;

use anyhow::{Context, ensure};
use bytes::Bytes;

use super::{Bench, Scenario};
use crate::api::Account;
use crate::crowd::many;
use crate::measure::Meter;

const MEBIBYTE: usize = 1 << 20;
/// How many files are under way at once.
const AT_ONCE: usize = 8;
/// How many files there are to download.
const FILES: usize = 16;

/// Which way files go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the server, which keeps them.
    Up,
    /// From the server.
    Down,
}

/// Sends files of 1 MiB to and fro.
pub struct Media {
    direction: Direction,
    account: Account,
    noise: Vec<u8>,
    files: Vec<File>,
}

/// A file that the server has.
struct File {
    address: String,
    bytes: Bytes,
}

impl Media {
    /// Registers who sends, and uploads what is to be downloaded.
    pub async fn prepare(bench: &Bench, direction: Direction) -> anyhow::Result<Media> {
        let account = bench.recruiter.users(1).await?.remove(0);
        let noise = (0..MEBIBYTE / 8).flat_map(|_| rand::random::<[u8; 8]>()).collect();
        let media = Media { direction, account, noise, files: Vec::new() };
        let files = match direction {
            Direction::Up => Vec::new(),
            Direction::Down => many(FILES, "files", |_| media.upload()).await?,
        };
        Ok(Media { files, ..media })
    }

    /// Uploads a file that is like no other.
    async fn upload(&self) -> anyhow::Result<File> {
        let mut bytes = self.noise.clone();
        bytes[..8].copy_from_slice(&rand::random::<[u8; 8]>());
        let bytes = Bytes::from(bytes);
        let address = self.account.upload("application/octet-stream", bytes.clone()).await?;
        Ok(File { address, bytes })
    }

    async fn download(&self, file: &File) -> anyhow::Result<()> {
        let found = self.account.download(&file.address).await?;
        ensure!(found == file.bytes, "{} came back with other bytes", file.address);
        Ok(())
    }
}

impl Scenario for Media {
    fn name(&self) -> String {
        let way = if self.direction == Direction::Up { "up" } else { "down" };
        format!("media: 1 MiB {way}, {AT_ONCE} at once")
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        let (this, uploaded) = (&*self, RefCell::new(Vec::new()));
        let upload = |_, _| async {
            let file = this.upload().await?;
            uploaded.borrow_mut().push(file);
            Ok(())
        };
        let download = |_, number| this.download(&this.files[number as usize % FILES]);
        meter.start()?;
        match self.direction {
            Direction::Up => meter.drive(AT_ONCE, operations, upload).await,
            Direction::Down => meter.drive(AT_ONCE, operations, download).await,
        }
        meter.stop()?;
        let uploaded = uploaded.into_inner();
        let check = |number: usize| this.download(&uploaded[number]);
        many(uploaded.len(), "checks", check).await.context("reading what was uploaded").map(drop)
    }
}
