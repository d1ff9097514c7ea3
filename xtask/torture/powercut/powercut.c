/*
 * Simulates power cuts and failing disks for the files of one directory.
 *
 * Preloaded into a process, it lets every call through to the file, and keeps beside
 * it what the disk would hold: each file as of its last sync, and the writes since.
 * Cutting the power keeps some of those writes, each whole or torn into sectors of
 * 512 bytes, puts the rest back as it was, and ends the process, which SIGTERM doesn't
 * interrupt (SIGKILL would: such a process is to be ended by SIGTERM). The same goes for
 * names: a file that was made, renamed or removed may be as before until its
 * directory was synced, the oldest of these changes first to last.
 *
 * No sync reaches the disk. What is mapped (SQLite's -shm) is left alone: SQLite
 * makes it anew when nobody else has the file open.
 *
 *   POWERCUT_DIR     the directory, as an absolute path without symbolic links
 *   POWERCUT_SEED    draws what is kept
 *   POWERCUT_AT      cut at this call that changes something (from 1; 0 is never);
 *                    counted from the failure if POWERCUT_FAIL is given
 *   POWERCUT_FAIL    "CLASS:N:ERRNO": the Nth sync, write or read fails, once. What
 *                    a failed sync was to write is lost in part, and no later sync
 *                    writes it: so does Linux, which goes on to show it to readers
 *   POWERCUT_FIRED   a file to make when that happens
 *   POWERCUT_BOOT    a file to be read as the machine's boot id
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SECTOR = 512, FDS = 65536, NAMES = 64, CHANGES = 4096, EXIT_CUT = 77 };

/* A write, or with `data` null a change of the size to `at`, since the last sync. */
struct record { struct record *next; off_t at; size_t len; char *data; };
/* A file: its bytes on the disk, and what isn't there yet. */
struct file { char *disk; off_t size, room; struct record *first, **last; };
struct name { char *path; struct file *file; };
/* A change of names that may be lost: what `path` stood for, and where it went. */
struct change { char *path, *to; struct file *was, *to_was; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *dir, *boot;
static size_t dir_len;
static uint64_t random_state = 1;
static long cut_at, steps, fail_at;
static int fail_errno, fail_class;
static struct file *files[FDS];
static char is_dir[FDS];
static struct name names[NAMES];
static struct change changes[CHANGES];
static int change_count;

#define REAL(result, call, ...) static result (*real_##call)(__VA_ARGS__)
REAL(int, open, const char *, int, ...);
REAL(int, openat, int, const char *, int, ...);
REAL(int, close, int);
REAL(ssize_t, write, int, const void *, size_t);
REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
REAL(ssize_t, read, int, void *, size_t);
REAL(ssize_t, pread, int, void *, size_t, off_t);
REAL(int, ftruncate, int, off_t);
REAL(int, fsync, int);
REAL(int, fdatasync, int);
REAL(int, unlink, const char *);
REAL(int, rename, const char *, const char *);

static void die(const char *why) {
    dprintf(2, "powercut: %s\n", why);
    _exit(70);
}

static void *checked(void *memory) {
    if (!memory) die("out of memory");
    return memory;
}

static void start(void) {
#define FIND(call) real_##call = dlsym(RTLD_NEXT, #call)
    FIND(open); FIND(openat); FIND(close); FIND(write); FIND(pwrite); FIND(read); FIND(pread);
    FIND(ftruncate); FIND(fsync); FIND(fdatasync); FIND(unlink); FIND(rename);
    const char *value;
    if ((value = getenv("POWERCUT_SEED"))) random_state = strtoull(value, 0, 10) * 2 + 1;
    if ((value = getenv("POWERCUT_AT"))) cut_at = atol(value);
    if ((value = getenv("POWERCUT_FAIL"))) {
        fail_class = value[0];
        if (sscanf(value, "%*[a-z]:%ld:%d", &fail_at, &fail_errno) != 2) die("bad POWERCUT_FAIL");
    }
    boot = getenv("POWERCUT_BOOT");
    if ((dir = getenv("POWERCUT_DIR"))) dir_len = strlen(dir);
}

static uint64_t draw(uint64_t below) { /* xorshift64* */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (random_state * 2685821657736338717u >> 33) % below;
}

static int tracked(const char *path) {
    size_t len = strlen(path);
    if (!dir || strncmp(path, dir, dir_len) || path[dir_len] != '/') return 0;
    return len < 4 || strcmp(path + len - 4, "-shm");
}

/* The entry of a path; a new one says that there is no file. */
static struct name *entry(const char *path) {
    int at = 0;
    while (at < NAMES && names[at].path && strcmp(names[at].path, path)) at++;
    if (at == NAMES) die("too many names");
    if (!names[at].path) names[at].path = checked(strdup(path));
    return &names[at];
}

static void resize(struct file *file, off_t size) {
    if (size > file->room) {
        file->room = size * 2;
        file->disk = checked(realloc(file->disk, file->room));
    }
    if (size > file->size) memset(file->disk + file->size, 0, size - file->size);
    file->size = size;
}

static void put(struct file *file, off_t at, const char *data, size_t len) {
    if (at + (off_t)len > file->size) resize(file, at + len);
    memcpy(file->disk + at, data, len);
}

static void note(struct file *file, off_t at, const void *data, size_t len) {
    struct record *record = checked(calloc(1, sizeof *record));
    record->at = at;
    record->len = len;
    if (data) record->data = memcpy(checked(malloc(len ? len : 1)), data, len);
    *file->last = record;
    file->last = &record->next;
}

static void forget(struct file *file) {
    for (struct record *record = file->first, *next; record; record = next) {
        next = record->next;
        free(record->data);
        free(record);
    }
    file->first = 0;
    file->last = &file->first;
}

/* A sync: all of it is on the disk, in the order in which it was written. */
static void settle(struct file *file) {
    for (struct record *record = file->first; record; record = record->next) {
        if (record->data) put(file, record->at, record->data, record->len);
        else resize(file, record->at);
    }
    forget(file);
}

static struct file *load(int fd) {
    struct file *file = checked(calloc(1, sizeof *file));
    struct stat stat;
    file->last = &file->first;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd); /* It may be open only for writing. */
    int readable = real_open(link, O_RDONLY | O_CLOEXEC);
    if (readable < 0 || fstat(readable, &stat)) die("can't read a file");
    resize(file, stat.st_size);
    if (real_pread(readable, file->disk, stat.st_size, 0) != stat.st_size) die("a short read");
    real_close(readable);
    return file;
}

/* The entry of a path whose file is about to lose its name, opened here before or not. */
static struct name *leaving(const char *path) {
    struct name *name = entry(path);
    int fd = name->file ? -1 : real_open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        name->file = load(fd);
        real_close(fd);
    }
    return name;
}

static void change(const char *path, struct file *was, const char *to, struct file *to_was) {
    if (change_count == CHANGES) die("too many changes of names");
    changes[change_count++] = (struct change){ checked(strdup(path)),
        to ? checked(strdup(to)) : 0, was, to_was };
}

/* Keeps some of what wasn't synced. */
static void tear(struct file *file, uint64_t style) {
    for (struct record *record = file->first; record; record = record->next) {
        uint64_t fate = style < 2 ? style : draw(4); /* none, all, else torn */
        if (!record->data) {
            if (style < 2 ? style : draw(2)) resize(file, record->at);
            continue;
        }
        off_t end = record->at + record->len;
        /* The size may be there before the bytes. */
        if (fate && end > file->size && draw(2)) resize(file, end);
        for (off_t at = record->at; fate && at < end;) {
            off_t next = (at / SECTOR + 1) * SECTOR;
            if (next > end) next = end;
            if (fate == 1 || draw(2)) put(file, at, record->data + (at - record->at), next - at);
            at = next;
        }
    }
    forget(file);
}

static void cut(void) {
    /* Who ends this process by SIGTERM doesn't find files half written back. */
    signal(SIGTERM, SIG_IGN);
    uint64_t style = draw(8);
    int kept = style < 2 ? (int)style * change_count : (int)draw(change_count + 1);
    while (change_count > kept) {
        struct change *last = &changes[--change_count];
        entry(last->path)->file = last->was;
        if (last->to) entry(last->to)->file = last->to_was;
    }
    for (int at = 0; at < NAMES && names[at].path; at++) {
        struct file *file = names[at].file;
        if (!file) { real_unlink(names[at].path); continue; }
        tear(file, style);
        int fd = real_open(names[at].path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0) die("can't write a file back");
        for (off_t done = 0; done < file->size;) {
            ssize_t wrote = real_pwrite(fd, file->disk + done, file->size - done, done);
            if (wrote <= 0) die("can't write a file back");
            done += wrote;
        }
        real_close(fd);
    }
    syscall(SYS_exit_group, EXIT_CUT);
}

/* A call that changes something. It may be the last. */
static void step(void) {
    if (cut_at && !fail_at && ++steps == cut_at) cut();
}

/* Whether this call is the one that fails. */
static int fails(int class) {
    if (class != fail_class || fail_at == 0 || --fail_at > 0) return 0;
    const char *fired = getenv("POWERCUT_FIRED");
    if (fired) real_close(real_open(fired, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    errno = fail_errno;
    return 1;
}

static int opened(int fd, const char *path, int flags, int existed) {
    if (fd < 0 || fd >= FDS || !dir) return fd;
    is_dir[fd] = !strcmp(path, dir);
    if (is_dir[fd] || !tracked(path)) return fd;
    struct name *name = entry(path);
    if (!existed) {
        change(path, 0, 0, 0);
        name->file = load(fd);
        step();
    } else if (!name->file) {
        name->file = load(fd);
    }
    files[fd] = name->file;
    if (flags & O_TRUNC) note(name->file, 0, 0, 0);
    return fd;
}

static int open_any(int at, const char *path, int flags, mode_t mode) {
    pthread_once(&once, start);
    if (boot && !strcmp(path, "/proc/sys/kernel/random/boot_id")) path = boot;
    if (!dir || at != AT_FDCWD) return real_openat(at, path, flags, mode);
    pthread_mutex_lock(&lock);
    int existed = access(path, F_OK) == 0;
    int fd = opened(real_openat(at, path, flags, mode), path, flags, existed);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(flags) ({ mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list list; \
    va_start(list, flags); mode = va_arg(list, int); va_end(list); } mode; })
int open(const char *path, int flags, ...) { return open_any(AT_FDCWD, path, flags, MODE(flags)); }
int open64(const char *path, int flags, ...) { return open_any(AT_FDCWD, path, flags, MODE(flags)); }
int openat(int at, const char *path, int flags, ...) { return open_any(at, path, flags, MODE(flags)); }
int openat64(int at, const char *path, int flags, ...) { return open_any(at, path, flags, MODE(flags)); }

int close(int fd) {
    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < FDS) { files[fd] = 0; is_dir[fd] = 0; }
    int result = real_close(fd);
    pthread_mutex_unlock(&lock);
    return result;
}

static struct file *file_of(int fd) {
    pthread_once(&once, start);
    return fd >= 0 && fd < FDS ? files[fd] : 0;
}

static ssize_t write_any(int fd, const void *data, size_t len, off_t at) {
    struct file *file = file_of(fd);
    if (!file) return at < 0 ? real_write(fd, data, len) : real_pwrite(fd, data, len, at);
    pthread_mutex_lock(&lock);
    int failed = fails('w');
    int positioned = at >= 0;
    size_t part = failed ? len / 2 : len;
    if (!positioned) at = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    ssize_t wrote = positioned ? real_pwrite(fd, data, part, at) : real_write(fd, data, part);
    if (wrote > 0) note(file, at, data, wrote);
    if (failed) { errno = fail_errno; wrote = -1; }
    else step();
    pthread_mutex_unlock(&lock);
    return wrote;
}

ssize_t write(int fd, const void *data, size_t len) { return write_any(fd, data, len, -1); }
ssize_t pwrite(int fd, const void *data, size_t len, off_t at) { return write_any(fd, data, len, at); }
ssize_t pwrite64(int fd, const void *data, size_t len, off_t at) { return write_any(fd, data, len, at); }

static ssize_t read_any(int fd, void *data, size_t len, off_t at) {
    struct file *file = file_of(fd);
    if (file && fail_class == 'r') {
        pthread_mutex_lock(&lock);
        int failed = fails('r');
        pthread_mutex_unlock(&lock);
        if (failed) return -1;
    }
    return at < 0 ? real_read(fd, data, len) : real_pread(fd, data, len, at);
}

ssize_t read(int fd, void *data, size_t len) { return read_any(fd, data, len, -1); }
ssize_t pread(int fd, void *data, size_t len, off_t at) { return read_any(fd, data, len, at); }
ssize_t pread64(int fd, void *data, size_t len, off_t at) { return read_any(fd, data, len, at); }

int ftruncate(int fd, off_t size) {
    struct file *file = file_of(fd);
    if (!file) return real_ftruncate(fd, size);
    pthread_mutex_lock(&lock);
    int result = real_ftruncate(fd, size);
    if (!result) { note(file, size, 0, 0); step(); }
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

static int sync_any(int fd, int (*real)(int)) {
    struct file *file = file_of(fd);
    int names_too = fd >= 0 && fd < FDS && is_dir[fd];
    if (!file && !names_too) return real(fd);
    pthread_mutex_lock(&lock);
    step();
    int failed = file && fails('s');
    if (file && failed) tear(file, draw(8));
    else if (file) settle(file);
    else if (!failed) change_count = 0;
    if (failed) errno = fail_errno;
    pthread_mutex_unlock(&lock);
    return failed ? -1 : 0;
}
int fsync(int fd) { pthread_once(&once, start); return sync_any(fd, real_fsync); }
int fdatasync(int fd) { pthread_once(&once, start); return sync_any(fd, real_fdatasync); }

int unlink(const char *path) {
    pthread_once(&once, start);
    if (!tracked(path)) return real_unlink(path);
    pthread_mutex_lock(&lock);
    struct name *name = leaving(path);
    int result = real_unlink(path);
    if (!result) { change(path, name->file, 0, 0); name->file = 0; step(); }
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *from, const char *to) {
    pthread_once(&once, start);
    if (!tracked(from) && !tracked(to)) return real_rename(from, to);
    pthread_mutex_lock(&lock);
    struct name *old = leaving(from), *new = leaving(to);
    int result = real_rename(from, to);
    if (!result) {
        change(from, old->file, to, new->file);
        new->file = old->file;
        old->file = 0;
        step();
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* Calls that nobody is known to make on these files: better to end than to miss one. */
#define UNSEEN(result, call, parameters, ...) result call parameters { \
    static result (*real) parameters; \
    if (!real) real = dlsym(RTLD_NEXT, #call); \
    if (file_of(fd)) die(#call " is not simulated"); \
    return real(__VA_ARGS__); }
UNSEEN(ssize_t, writev, (int fd, const struct iovec *all, int count), fd, all, count)
UNSEEN(ssize_t, pwritev, (int fd, const struct iovec *all, int count, off_t at), fd, all, count, at)
UNSEEN(int, fallocate, (int fd, int mode, off_t at, off_t len), fd, mode, at, len)
UNSEEN(int, posix_fallocate, (int fd, off_t at, off_t len), fd, at, len)
UNSEEN(int, sync_file_range, (int fd, off_t at, off_t len, unsigned flags), fd, at, len, flags)
