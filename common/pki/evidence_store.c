/* evidence_store.c - keeps evidence as the files have it: looks at them once a second, reads those that have
 * changed, and puts a new snapshot in the place of the old one. Called by collection.c when it loads and
 * with every question; the fetch process writes files and tells nobody.
 *
 * A file counts as changed when its inode, size or times have, to the nanosecond. Kernels keep these times in steps
 * of some milliseconds, so a file that was changed a moment before it was read is read once more at the next look. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "pki/evidence_internal.h"

#define LOOK_EVERY_MS 1000
#define TOTAL_BYTES ((size_t)256 * 1024 * 1024)
#define TOTAL_FILES 20000
#define SETTLED_S 2

struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
	bool settled;		/* the same stamp later means the same content */
};

struct watched {
	char *path;
	struct stamp stamp;
	struct evidence_file *file;	/* NULL: nothing was read of it */
};

struct source {
	char *path;
	bool optional;
	struct stamp stamp;		/* of the directory, when it was listed */
	struct watched *files;		/* by path */
	size_t n;
};

struct evidence_store {
	const struct clock *clock;
	pthread_mutex_t mutex;		/* guards the next three */
	struct evidence *snapshot;
	int64_t next_look_ms;
	bool looking;
	struct source *sources;		/* these and all below: whoever looks */
	size_t n;
	struct evidence_file **fixed;
	size_t fixed_count;
	bool changed;			/* since the snapshot */
	uint64_t number;
	size_t bytes, files;		/* met so far, in one look */
};

/* The first load: what is wrong is said, and what must be there is missed. */
struct look {
	struct evidence_store *store;
	const struct conf_report *report;
	bool first;
};

struct evidence_store *evidence_store_new(const struct clock *clock)
{
	struct evidence_store *store = calloc(1, sizeof(*store));

	if (store == NULL)
		return NULL;
	store->clock = clock;
	if (pthread_mutex_init(&store->mutex, NULL) == 0)
		return store;
	free(store);
	return NULL;
}

static void free_watched(struct watched *files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(files[i].path);
		evidence_file_free(files[i].file);
	}
	free(files);
}

void evidence_store_free(struct evidence_store *store)
{
	if (store == NULL)
		return;
	for (size_t i = 0; i < store->n; i++) {
		free_watched(store->sources[i].files, store->sources[i].n);
		free(store->sources[i].path);
	}
	free(store->sources);
	for (size_t i = 0; i < store->fixed_count; i++)
		evidence_file_free(store->fixed[i]);
	free(store->fixed);
	evidence_free(store->snapshot);
	pthread_mutex_destroy(&store->mutex);
	free(store);
}

int evidence_store_add_crl(struct evidence_store *store, struct slice der, struct err *err)
{
	const struct evidence_notes nobody = { .report = NULL };
	struct evidence_file **larger = reallocarray(store->fixed, store->fixed_count + 1, sizeof(*larger));

	if (larger == NULL)
		return err_memory(err);
	store->fixed = larger;
	store->fixed[store->fixed_count] = evidence_file_parse(der, false, &nobody, err);
	if (store->fixed[store->fixed_count] == NULL)
		return -1;
	store->fixed_count++;
	return 0;
}

int evidence_store_add(struct evidence_store *store, const char *path, bool optional, struct err *err)
{
	struct source *larger = reallocarray(store->sources, store->n + 1, sizeof(*larger));

	if (larger == NULL)
		return err_memory(err);
	store->sources = larger;
	store->sources[store->n] = (struct source){ .path = strdup(path), .optional = optional };
	if (store->sources[store->n].path == NULL)
		return err_memory(err);
	store->n++;
	return 0;
}

static struct stamp make_stamp(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (struct stamp){ .device = st->st_dev, .inode = st->st_ino, .size = st->st_size,
			       .modified = st->st_mtim, .changed = st->st_ctim,
			       .settled = now.tv_sec - st->st_ctim.tv_sec > SETTLED_S };
}

static bool is_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_unchanged(const struct stamp *a, const struct stamp *b)
{
	return a->settled && a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       is_same_time(a->modified, b->modified) && is_same_time(a->changed, b->changed);
}

static bool is_ocsp(const char *path)
{
	return slice_ends_nocase(slice_of(path), ".ocsp");
}

/* 0 as it was or new; 1 it is bad, *err says why; -1 memory, to be tried again. */
static int read_file(const struct look *look, struct watched *watched, struct err *err)
{
	const struct evidence_notes notes = { .report = look->report, .path = watched->path };
	unsigned char sha256[CRYPT_SHA256_BYTES];
	struct evidence_file *file = NULL;
	struct buf bytes;
	int rc = 1;

	buf_init(&bytes, 0);
	if (file_read(watched->path, EVIDENCE_FILE_BYTES, &bytes, err) != 0)
		goto out;
	if (watched->file != NULL && crypt_sha256(bytes.p, bytes.n, sha256, NULL) == 0 &&
	    memcmp(sha256, watched->file->sha256, sizeof(sha256)) == 0) {
		rc = 0;
		goto out;
	}
	file = evidence_file_parse(buf_slice(&bytes), is_ocsp(watched->path), &notes, err);
	if (file == NULL) {
		err_prefix(err, "%s", watched->path);
		goto out;
	}
	evidence_file_free(watched->file);
	watched->file = file;
	look->store->changed = true;
	rc = 0;
out:
	buf_clear(&bytes);
	return rc == 1 && err->class == ERR_TEMP ? -1 : rc;
}

static void forget(struct evidence_store *store, struct watched *watched)
{
	if (watched->file != NULL)
		store->changed = true;
	evidence_file_free(watched->file);
	watched->file = NULL;
	watched->stamp = (struct stamp){ .settled = false };
}

static bool fits(struct evidence_store *store, size_t size)
{
	if (store->files >= TOTAL_FILES || size > TOTAL_BYTES - store->bytes)
		return false;
	store->files++;
	store->bytes += size;
	return true;
}

/* As read_file; 1 also where the file is gone. */
static int look_at_file(const struct look *look, struct watched *watched, struct err *err)
{
	struct stamp stamp;
	struct stat st;
	int rc;

	if (stat(watched->path, &st) != 0) {
		err_set(err, ERR_CONFIG, "%s: %s", watched->path, strerror(errno));
		forget(look->store, watched);
		return 1;
	}
	if (!fits(look->store, (size_t)st.st_size)) {
		forget(look->store, watched);
		err_set(err, ERR_CONFIG, "%s: left out: with it, the revocation lists are too many or too large",
			watched->path);
		return 1;
	}
	stamp = make_stamp(&st);
	if (is_unchanged(&watched->stamp, &stamp))
		return 0;
	rc = read_file(look, watched, err);
	if (rc >= 0)
		watched->stamp = stamp;
	return rc;
}

/* The files of before that are there still, and new ones; both lists are by path. -1: memory. */
static int merge(struct evidence_store *store, struct source *source, char *const *paths, size_t n)
{
	struct watched *files = calloc(n == 0 ? 1 : n, sizeof(*files));
	size_t old = 0;

	if (files == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		files[i].path = strdup(paths[i]);
		if (files[i].path == NULL) {
			free_watched(files, i);
			return -1;
		}
	}
	for (size_t i = 0; i < n; i++) {
		while (old < source->n && strcmp(source->files[old].path, paths[i]) < 0)
			forget(store, &source->files[old++]);
		if (old == source->n || strcmp(source->files[old].path, paths[i]) != 0)
			continue;
		files[i].stamp = source->files[old].stamp;
		files[i].file = source->files[old].file;
		source->files[old++].file = NULL;
	}
	while (old < source->n)
		forget(store, &source->files[old++]);
	free_watched(source->files, source->n);
	source->files = files;
	source->n = n;
	return 0;
}

/* 0, 1: not to be listed (*err), -1: memory. */
static int list_directory(struct evidence_store *store, struct source *source, struct err *err)
{
	struct arena *arena = arena_new(0);
	char **paths = NULL;
	size_t n = 0;
	int rc = -1;

	if (arena == NULL)
		return -1;
	if (file_list(arena, source->path, &paths, &n, err) == 0)
		rc = merge(store, source, paths, n);
	else
		rc = err->class == ERR_TEMP ? -1 : 1;
	arena_free(arena);
	return rc;
}

/* A source that is a file is a list of one. */
static int list_source(struct evidence_store *store, struct source *source, bool *directory, struct err *err)
{
	struct stamp stamp;
	struct stat st;
	int rc = 0;

	*directory = stat(source->path, &st) == 0 && S_ISDIR(st.st_mode);
	if (!*directory) {
		source->stamp = (struct stamp){ .settled = false };
		return merge(store, source, &source->path, 1);
	}
	stamp = make_stamp(&st);
	if (!is_unchanged(&source->stamp, &stamp))
		rc = list_directory(store, source, err);
	if (rc == 0)
		source->stamp = stamp;
	return rc;
}

/* A bad file among many is worth a word; one that was named alone is an error, when it is read first. */
static int look_at_source(const struct look *look, struct source *source, struct err *err)
{
	bool directory = false;
	int rc = list_source(look->store, source, &directory, err);

	if (rc < 0)
		return err_memory(err);
	if (rc > 0)
		return source->optional || !look->first ? 0 : -1;
	for (size_t i = 0; i < source->n; i++) {
		rc = look_at_file(look, &source->files[i], err);
		if (rc < 0)
			return -1;
		if (rc > 0 && look->first && !directory && !source->optional)
			return -1;
		if (rc > 0 && look->report != NULL && directory)
			look->report->finding(look->report->self, err->text);
	}
	return 0;
}

static int collect(struct evidence_store *store, struct evidence **snapshot)
{
	size_t n = store->fixed_count, k = 0;
	struct evidence_file **files;

	for (size_t i = 0; i < store->n; i++)
		n += store->sources[i].n;
	files = calloc(n == 0 ? 1 : n, sizeof(*files));
	if (files == NULL)
		return -1;
	for (size_t i = 0; i < store->fixed_count; i++)
		files[k++] = store->fixed[i];
	for (size_t i = 0; i < store->n; i++)
		for (size_t j = 0; j < store->sources[i].n; j++)
			files[k++] = store->sources[i].files[j].file;
	*snapshot = evidence_new(files, n, ++store->number);
	free(files);
	return *snapshot == NULL ? -1 : 0;
}

static int look_at_all(const struct look *look, struct err *err)
{
	struct evidence_store *store = look->store;
	struct evidence *snapshot = NULL, *old;
	int rc = 0;

	store->bytes = store->files = 0;
	for (size_t i = 0; i < store->n && rc == 0; i++)
		rc = look_at_source(look, &store->sources[i], err);
	if (rc != 0 && look->first)
		return -1;
	if (!store->changed && store->snapshot != NULL)
		return rc;
	if (collect(store, &snapshot) != 0)
		return err_memory(err);
	store->changed = false;
	pthread_mutex_lock(&store->mutex);
	old = store->snapshot;
	store->snapshot = snapshot;
	pthread_mutex_unlock(&store->mutex);
	evidence_free(old);
	return rc;
}

int evidence_store_load(struct evidence_store *store, const struct conf_report *report, struct err *err)
{
	const struct look first = { .store = store, .report = report, .first = true };
	struct err unused;

	store->next_look_ms = clock_monotonic_ms(store->clock) + LOOK_EVERY_MS;
	return look_at_all(&first, err == NULL ? &unused : err);
}

void evidence_store_look(struct evidence_store *store)
{
	const struct look again = { .store = store };
	struct err unused = { .class = ERR_NONE };

	look_at_all(&again, &unused);
}

struct evidence *evidence_store_get(struct evidence_store *store)
{
	int64_t now_ms = clock_monotonic_ms(store->clock);
	struct evidence *snapshot;
	bool due;

	pthread_mutex_lock(&store->mutex);
	due = now_ms >= store->next_look_ms && !store->looking;
	if (due) {
		store->looking = true;
		pthread_mutex_unlock(&store->mutex);
		evidence_store_look(store);
		pthread_mutex_lock(&store->mutex);
		store->looking = false;
		store->next_look_ms = now_ms + LOOK_EVERY_MS;
	}
	snapshot = evidence_ref(store->snapshot);
	pthread_mutex_unlock(&store->mutex);
	return snapshot;
}
