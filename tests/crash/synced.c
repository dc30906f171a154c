/* What a power failure would leave: this library, preloaded into the server, notes for each file the length that was
 * synced, and for each directory the names that were. The notes survive the server, as the kernel keeps what was written.
 *
 * A line is one of
 *     length INODE BIRTH BYTES
 *     name INODE BIRTH PATH
 * where BIRTH, the time a file was created in nanoseconds, tells it from one that had the same inode before.
 *
 * Only fsync and fdatasync count. sync_file_range promises nothing after a power failure, so it notes nothing. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KNOWN_NAMES = 1 << 18, LINE = PATH_MAX + 64 };

static int notes = -1;
/* Names noted before, by their hash: a directory of many files is listed at each sync, but each name written once. */
static uint64_t known[KNOWN_NAMES];
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void open_notes(void) {
    const char *path = getenv("SYNCED_NOTES");
    if (path)
        notes = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

/* One write is one line, also when several threads write. */
static void note(const char *line, int length) {
    if (length > 0 && write(notes, line, (size_t)length) != length)
        abort(); /* A rig that forgets what was synced would accuse the server. */
}

static long long birth(const struct statx *file) {
    return file->stx_btime.tv_sec * 1000000000LL + file->stx_btime.tv_nsec;
}

/* True the first time it is asked about a line. */
static int is_news(const char *line) {
    uint64_t hash = 1469598103934665603ULL;
    for (; *line; line++)
        hash = (hash ^ (unsigned char)*line) * 1099511628211ULL;
    pthread_mutex_lock(&known_lock);
    uint64_t *place = &known[hash % KNOWN_NAMES];
    int news = *place != hash;
    *place = hash;
    pthread_mutex_unlock(&known_lock);
    return news;
}

static void note_name(int directory, const char *path, const char *name) {
    struct statx file;
    char line[LINE];
    if (statx(directory, name, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &file) != 0)
        return; /* It was removed meanwhile. */
    int length = snprintf(line, sizeof line, "name %llu %lld %s/%s\n", (unsigned long long)file.stx_ino, birth(&file),
                          path, name);
    if (length < (int)sizeof line && is_news(line))
        note(line, length);
}

/* The names in an open directory, through a second descriptor: the first one's place in it is not ours to move. */
static void note_names(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    int again = open(link, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = again < 0 ? NULL : fdopendir(again);
    if (length < 0 || !directory)
        abort();
    path[length] = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            note_name(again, path, entry->d_name);
    closedir(directory);
}

/* Looks before the sync, since only what was there before it is promised, and notes after it succeeded. Names are the
 * exception: they are noted first, and a crash in between takes them for synced, which errs on the server's side. */
static int sync_and_note(int fd, long call) {
    struct statx file;
    char line[LINE];
    int looked = notes >= 0 && statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_SIZE | STATX_BTIME, &file) == 0;
    if (looked && S_ISDIR(file.stx_mode))
        note_names(fd);
    int result = (int)syscall(call, fd);
    if (looked && result == 0 && S_ISREG(file.stx_mode))
        note(line, snprintf(line, sizeof line, "length %llu %lld %llu\n", (unsigned long long)file.stx_ino,
                            birth(&file), (unsigned long long)file.stx_size));
    return result;
}

int fsync(int fd) { return sync_and_note(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_and_note(fd, SYS_fdatasync); }
