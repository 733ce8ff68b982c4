// Preloaded into a process, makes one of its calls to the disk fail: the k-th below a folder, and
// if asked all that follow. What reads is left alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[4096];
static atomic_long calls;
static long first = -1;
static int number, for_good;

// Fail call `k` (from 1; 0 for none) with `error`, and with `and_on` every later one.
void disk_fails(const char *below, long k, int error, int and_on) {
    snprintf(folder, sizeof folder, "%s/", below);
    first = k, number = error, for_good = and_on;
    atomic_store(&calls, 0);
}

long disk_calls(void) { return atomic_load(&calls); }

static int fails(const char *path) {
    if (first < 0 || strncmp(path, folder, strlen(folder)) != 0) return 0;
    long call = atomic_fetch_add(&calls, 1) + 1;
    if (first == 0 || call < first || (call > first && !for_good)) return 0;
    errno = number;
    return 1;
}

static int file_fails(int file) {
    if (first < 0) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 2);
    if (length < 0) return 0;
    path[length] = '/', path[length + 1] = 0;  // the folder itself counts too
    return fails(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *data, size_t size) {
    return file_fails(file) ? -1 : REAL(write)(file, data, size);
}
ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    return file_fails(file) ? -1 : REAL(pwrite)(file, data, size, at);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    return file_fails(file) ? -1 : REAL(pwrite64)(file, data, size, at);
}
int fsync(int file) { return file_fails(file) ? -1 : REAL(fsync)(file); }
int fdatasync(int file) { return file_fails(file) ? -1 : REAL(fdatasync)(file); }
int ftruncate(int file, off_t size) { return file_fails(file) ? -1 : REAL(ftruncate)(file, size); }
int ftruncate64(int file, off64_t size) {
    return file_fails(file) ? -1 : REAL(ftruncate64)(file, size);
}
int rename(const char *from, const char *to) { return fails(to) ? -1 : REAL(rename)(from, to); }
int unlink(const char *path) { return fails(path) ? -1 : REAL(unlink)(path); }
int mkdir(const char *path, mode_t mode) { return fails(path) ? -1 : REAL(mkdir)(path, mode); }

#define OPENS(name)                                                   \
    int name(const char *path, int flags, ...) {                      \
        va_list more;                                                 \
        va_start(more, flags);                                        \
        mode_t mode = va_arg(more, mode_t);                           \
        va_end(more);                                                 \
        if ((flags & (O_CREAT | O_WRONLY | O_RDWR)) && fails(path)) return -1; \
        return REAL(name)(path, flags, mode);                         \
    }
OPENS(open)
OPENS(open64)
