// A disk that can be held up, that can fail and that can be read-only: it stands between the
// server and the system (LD_PRELOAD) and concerns only files below a folder named "store".
// E2E_DISK names a folder, in which stands what the disk does:
//   hold        while somebody else holds the lock (flock) of this file, no sync begins
//   eio-sync    the next sync fails with EIO and takes this file away
//   eio-write   the next write does
//   readonly    while this file is there, syncs, writes and new files fail with EROFS
// and what it did, each of them a file that grows by one byte:
//   synced      a sync ended well
//   held        a sync had to wait
//   failed      a call failed on purpose

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PATH = 4096 };

// The path of a control file.
static const char *control(char path[PATH], const char *name) {
    const char *folder = getenv("E2E_DISK");
    if (folder == NULL) abort();
    snprintf(path, PATH, "%s/%s", folder, name);
    return path;
}

static int is_there(const char *name) {
    char path[PATH];
    return access(control(path, name), F_OK) == 0;
}

// Whether the control file was there; it is not any more.
static int taken(const char *name) {
    char path[PATH];
    return unlink(control(path, name)) == 0;
}

static void count(const char *name) {
    char path[PATH];
    control(path, name);
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (file < 0 || syscall(SYS_write, file, "+", 1) != 1) abort();
    syscall(SYS_close, file);
}

static long fail(int number) {
    count("failed");
    errno = number;
    return -1;
}

static int path_is_stored(const char *path) {
    const char *found = strstr(path, "/store");
    return found != NULL && (found[6] == '/' || found[6] == '\0');
}

static int is_stored(int file) {
    char name[64], path[PATH];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = '\0';
    return path_is_stored(path);
}

// Waits while the disk is held up.
static void wait_for_disk(void) {
    char path[PATH];
    control(path, "hold");
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
    if (file < 0) return;
    if (flock(file, LOCK_SH | LOCK_NB) != 0) {
        count("held");
        while (flock(file, LOCK_SH) != 0 && errno == EINTR) {}
    }
    syscall(SYS_close, file);
}

static int synced(long call, int file) {
    if (!is_stored(file)) return (int)syscall(call, file);
    wait_for_disk();
    if (taken("eio-sync")) return (int)fail(EIO);
    if (is_there("readonly")) return (int)fail(EROFS);
    long result = syscall(call, file);
    if (result == 0) count("synced");
    return (int)result;
}

int fdatasync(int file) { return synced(SYS_fdatasync, file); }
int fsync(int file) { return synced(SYS_fsync, file); }

// What a write comes to: 0, or the number of the error.
static int refused(int file) {
    if (file <= 2 || !is_stored(file)) return 0;
    if (taken("eio-write")) return EIO;
    return is_there("readonly") ? EROFS : 0;
}

#define WRITE(name, call, parameters, ...)                         \
    ssize_t name parameters {                                      \
        int error = refused(file);                                 \
        return error ? fail(error) : syscall(call, __VA_ARGS__);   \
    }

WRITE(write, SYS_write, (int file, const void *data, size_t size), file, data, size)
WRITE(writev, SYS_writev, (int file, const struct iovec *parts, int count), file, parts, count)
WRITE(pwrite64, SYS_pwrite64, (int file, const void *data, size_t size, off64_t at), file, data,
      size, at)
WRITE(pwritev64, SYS_pwritev, (int file, const struct iovec *parts, int count, off64_t at), file,
      parts, count, at, 0L)

int fallocate64(int file, int mode, off64_t at, off64_t size) {
    int error = refused(file);
    return error ? (int)fail(error) : (int)syscall(SYS_fallocate, file, mode, at, size);
}

int ftruncate64(int file, off64_t size) {
    int error = refused(file);
    return error ? (int)fail(error) : (int)syscall(SYS_ftruncate, file, size);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    unsigned mode = flags & O_CREAT ? va_arg(rest, unsigned) : 0;
    va_end(rest);
    int writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT;
    if (writes && path_is_stored(path) && is_there("readonly")) return (int)fail(EROFS);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int rename(const char *from, const char *to) {
    if (path_is_stored(to) && is_there("readonly")) return (int)fail(EROFS);
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path) {
    if (path_is_stored(path) && is_there("readonly")) return (int)fail(EROFS);
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
