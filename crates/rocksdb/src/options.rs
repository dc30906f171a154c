use rocksdb::{BlockBasedIndexType, BlockBasedOptions, Cache, DBCompressionType, LogLevel};
use tertulia_storage::StoreOptions;

/// How much memory the engine may use. The defaults keep a server with a million events below 60 MB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes of blocks kept in memory, indexes and filters among them.
    pub cache: usize,
    /// Bytes of new rows gathered in memory before they become a file; two such buffers may exist.
    pub write_buffer: usize,
    /// The newest format of a store that may be opened: a newer one is refused, and nothing of it changed. Without it,
    /// the format is looked at only when the store is opened on the engine.
    pub format: Option<u32>,
    /// Whether each commit lies on the disk before the next is written. Then no crash damages the log in front of sound
    /// commits, and a store in which that is so is refused; otherwise what follows the damage is given up.
    pub synced: bool,
}

impl Default for Options {
    fn default() -> Self {
        let StoreOptions { format, .. } = StoreOptions::default();
        Self { cache: 16 << 20, write_buffer: 6 << 20, format: Some(format), synced: true }
    }
}

impl Options {
    pub(crate) fn database(self, cache: &Cache) -> rocksdb::Options {
        let mut options = rocksdb::Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&blocks(cache));
        // zstd, in which older files of a store may be, takes a quarter less, and reading it back took more than
        // a third of a sync of many rooms.
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_write_buffer_size(self.write_buffer);
        options.set_max_write_buffer_number(2);
        options.set_max_total_wal_size(4 * self.write_buffer as u64);
        options.set_target_file_size_base(32 << 20);
        options.set_max_bytes_for_level_base(64 << 20);
        // Twice RocksDB's own: what is below is written anew half as often.
        options.set_level_zero_file_num_compaction_trigger(8);
        options.set_bytes_per_sync(1 << 20);
        options.set_max_background_jobs(2);
        options.set_max_open_files(512);
        options.set_avoid_unnecessary_blocking_io(true);
        options.set_skip_stats_update_on_db_open(true);
        quiet(&mut options);
        options
    }
}

/// Small partitions of indexes and filters, so that a small cache holds just those in use.
fn blocks(cache: &Cache) -> BlockBasedOptions {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(8 << 10);
    blocks.set_format_version(6);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_pin_top_level_index_and_filter(true);
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_bloom_filter(10.0, false);
    blocks.set_partition_filters(true);
    blocks.set_optimize_filters_for_memory(true);
    blocks
}

/// RocksDB's own log is for its developers: keep it small.
fn quiet(options: &mut rocksdb::Options) {
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
}
