/* directory_files.c - the embedded directory: a file, or a directory of files, with certificates in any bundle format,
 * indexed by the addresses inside. Changes are picked up without a restart: what comes to the path, goes from it or
 * is renamed there at the next question; at most every second the names, sizes and times of the files are looked at
 * too, and everything is read again when one differs. One file that is no bundle is a problem, named
 * in every answer; a path or file that cannot be read means "could not ask". Called through directory.h. Thread-safe:
 * a mutex guards the look at the files, an index once made never changes.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/crypt.h"
#include "base/file.h"
#include "pki/directory_driver.h"

#define HASH_NONFATAL_OOM 1	/* a failed HASH_ADD leaves hh.tbl NULL */
#include <uthash.h>

#define LOOK_EVERY_MS 1000
#define PROBLEMS_SHOWN 16

/* directories = ( { type = "files"; path = "/etc/smime-milter/certs"; } ); */
struct files_settings {
	struct directory_settings common;	/* cache_s, negative_cache_s: preset 0, the index is memory already */
	const char *path;			/* a directory (not recursive, hidden files skipped) or one file */
};

struct person {
	UT_hash_handle hh;
	struct slice key;
	struct directory_answer answer;		/* entries only */
};

struct index {				/* counted, immutable once current: answers point into it */
	struct arena *arena;
	struct person *people;
	size_t values;				/* bundles read so far: each counts as one value */
	struct directory_answer shared;		/* chain and problems, which go into every answer */
	atomic_uint references;
};

struct files {
	char *path, *name;
	const struct clock *clock;
	const struct event_sink *sink;
	pthread_mutex_t mutex;
	struct index *current;			/* NULL: could not be read, see failure */
	struct err failure;
	bool looked;
	int64_t looked_ms;
	struct timespec changed;		/* of the path itself, when last looked at; zero: it was not there */
	unsigned char fingerprint[CRYPT_SHA256_BYTES];
};

static void index_release(void *object)
{
	struct index *index = object;

	if (index == NULL || atomic_fetch_sub(&index->references, 1) > 1)
		return;
	HASH_CLEAR(hh, index->people);
	arena_free(index->arena);
	free(index);
}

static struct index *index_new(void)
{
	struct index *index = calloc(1, sizeof(*index));

	if (index == NULL || (index->arena = arena_new(0)) == NULL) {
		free(index);
		return NULL;
	}
	atomic_init(&index->references, 1);
	return index;
}

static struct person *person_of(struct index *index, struct slice key)
{
	struct person *person = NULL;

	HASH_FIND(hh, index->people, key.p, key.n, person);
	if (person != NULL)
		return person;
	person = arena_alloc(index->arena, sizeof(*person));
	if (person == NULL)
		return NULL;
	person->key = key;
	HASH_ADD_KEYPTR(hh, index->people, person->key.p, person->key.n, person);
	return person->hh.tbl == NULL ? NULL : person;
}

static int index_cert(struct index *index, const struct bundle_entry *from, const char *file)
{
	const struct directory_entry entry = { .cert = from->cert, .capabilities = from->capabilities,
					       .attribute = file, .value = index->values, .preferred = from->preferred };
	const struct cert_info *info = cert_info(from->cert);

	if (info->ca && directory_answer_chain(index->arena, &index->shared, from->cert) != 0)
		return -1;
	for (size_t i = 0; i < info->address_count; i++) {
		struct slice key = directory_key(index->arena, &info->addresses[i]);
		struct person *person = key.p == NULL ? NULL : person_of(index, key);

		if (person == NULL || directory_answer_add(index->arena, &person->answer, &entry) != 0)
			return -1;
	}
	return 0;
}

/* Logged each time, kept in every answer up to a number. */
static int add_problem(struct files *files, struct index *index, const char *text)
{
	event_log(files->sink, EVENT_WARNING, "%s: %s", files->name, text);
	if (index->shared.problem_count >= PROBLEMS_SHOWN)
		return 0;
	return directory_answer_problem(index->arena, &index->shared, text);
}

static int add_entry_problem(struct files *files, struct index *index, const char *file,
			     const struct bundle_entry *entry)
{
	struct err text;

	err_set(&text, ERR_MESSAGE, "%s: %s at offset %zu", file, entry->problem, entry->offset);
	return add_problem(files, index, text.text);
}

static int index_bundle(struct files *files, struct index *index, const struct bundle *bundle, const char *file)
{
	int rc = 0;

	for (size_t i = 0; i < bundle->n && rc == 0; i++) {
		const struct bundle_entry *entry = &bundle->entries[i];

		if (entry->problem != NULL)
			rc = add_entry_problem(files, index, file, entry);
		else if (entry->cert != NULL)
			rc = index_cert(index, entry, file);
	}
	index->values++;
	return rc;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* -1: the file cannot be read, or memory. That it is no bundle is a problem only. */
static int index_file(struct files *files, struct index *index, const char *path, struct err *err)
{
	struct arena *arena = arena_new(0);
	struct bundle bundle = { .entries = NULL };
	struct buf bytes;
	struct err why;
	int rc = -1;

	buf_init(&bytes, 0);
	if (arena == NULL) {
		err_memory(err);
		goto out;
	}
	if (file_read(path, 0, &bytes, err) != 0)
		goto out;
	if (bundle_parse(arena, buf_slice(&bytes), &bundle, &why) != 0) {
		err_prefix(&why, "%s", base_name(path));
		rc = why.class == ERR_TEMP ? -1 : add_problem(files, index, why.text);
	} else {
		rc = index_bundle(files, index, &bundle, base_name(path));
	}
	if (rc != 0)
		err_memory(err);
out:
	buf_clear(&bytes);
	arena_free(arena);
	return rc;
}

/* The files meant by the path, sorted. */
static int list(struct files *files, struct arena *arena, char ***paths, size_t *count, struct err *err)
{
	if (file_is_directory(files->path))
		return file_list(arena, files->path, paths, count, err);
	*count = 1;
	*paths = arena_array(arena, 1, sizeof(**paths));
	if (*paths == NULL)
		return err_memory(err);
	(*paths)[0] = files->path;
	return 0;
}

/* Names, sizes, times and identities of the files. One that cannot be looked at is part of the picture, not an error:
 * reading it will tell. */
static int take_fingerprint(char *const *paths, size_t count, unsigned char *fingerprint, struct err *err)
{
	struct buf text;
	int rc = 0;

	buf_init(&text, 0);
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct stat st;

		memset(&st, 0, sizeof(st));
		if (stat(paths[i], &st) != 0)
			st.st_size = -1;
		rc = buf_printf(&text, "%s %jd %ju %ju %jd.%ld %jd.%ld\n", paths[i], (intmax_t)st.st_size,
				(uintmax_t)st.st_ino, (uintmax_t)st.st_mode, (intmax_t)st.st_mtim.tv_sec,
				st.st_mtim.tv_nsec, (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	}
	if (rc != 0)
		err_memory(err);
	else
		rc = crypt_sha256(text.p, text.n, fingerprint, err);
	buf_clear(&text);
	return rc;
}

/* NULL: *err. */
static struct index *read_all(struct files *files, char *const *paths, size_t count, struct err *err)
{
	struct index *index = index_new();

	if (index == NULL) {
		err_memory(err);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		if (index_file(files, index, paths[i], err) != 0) {
			index_release(index);
			return NULL;
		}
	}
	return index;
}

static void replace(struct files *files, struct index *index)
{
	index_release(files->current);
	files->current = index;
}

/* Looks at the files, and reads them when something is different or the last time failed. The mutex is held. */
static void refresh(struct files *files)
{
	struct arena *arena = arena_new(0);
	unsigned char fingerprint[CRYPT_SHA256_BYTES];
	char **paths = NULL;
	size_t count = 0;
	struct index *index = NULL;

	if (arena == NULL) {
		err_memory(&files->failure);
		goto out;
	}
	if (list(files, arena, &paths, &count, &files->failure) != 0 ||
	    take_fingerprint(paths, count, fingerprint, &files->failure) != 0)
		goto out;
	if (files->current != NULL && memcmp(fingerprint, files->fingerprint, sizeof(fingerprint)) == 0) {
		arena_free(arena);
		return;
	}
	/* Taken before reading: what changes meanwhile is seen at the next look. */
	index = read_all(files, paths, count, &files->failure);
	memcpy(files->fingerprint, fingerprint, sizeof(fingerprint));
out:
	if (index == NULL)
		event_log(files->sink, EVENT_ERROR, "%s: %s", files->name, files->failure.text);
	replace(files, index);
	arena_free(arena);
}

/* Whether the path itself differs from what it was: an entry came, went or got another name. Cheap, so that with
 * cache_s = 0 the answer after that is never the one from before. */
static bool path_changed(struct files *files)
{
	struct stat st;
	struct timespec before = files->changed;

	memset(&files->changed, 0, sizeof(files->changed));
	if (stat(files->path, &st) == 0)
		files->changed = st.st_ctim;
	return files->changed.tv_sec != before.tv_sec || files->changed.tv_nsec != before.tv_nsec;
}

/* A reference to what the files hold now; NULL: failure is set. */
static struct index *take_index(struct files *files, struct err *failure)
{
	int64_t now_ms = clock_monotonic_ms(files->clock);
	struct index *index;

	pthread_mutex_lock(&files->mutex);
	if (path_changed(files) || !files->looked || now_ms - files->looked_ms >= LOOK_EVERY_MS || now_ms < files->looked_ms) {
		refresh(files);
		files->looked = true;
		files->looked_ms = now_ms;
	}
	index = files->current;
	if (index != NULL)
		atomic_fetch_add(&index->references, 1);
	else
		*failure = files->failure;
	pthread_mutex_unlock(&files->mutex);
	return index;
}

static int answer_one(struct arena *arena, const struct index *index, const struct address *address,
		      struct directory_answer *answer)
{
	struct slice key = directory_key(arena, address);
	struct person *person = NULL;

	if (key.p == NULL)
		return -1;
	HASH_FIND(hh, index->people, key.p, key.n, person);
	*answer = index->shared;
	answer->status = person == NULL ? DIRECTORY_NONE : DIRECTORY_FOUND;
	if (person != NULL) {
		answer->entries = person->answer.entries;
		answer->n = person->answer.n;
	}
	return 0;
}

static int files_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		      struct directory_answer *answers, struct err *err)
{
	struct files *files = self;
	struct err failure = { .class = ERR_NONE };
	struct index *index = take_index(files, &failure);
	int rc = 0;

	(void)deadline_ms;	/* nothing here waits for anybody else */
	if (index != NULL)
		rc = arena_defer(arena, index_release, index);
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (index == NULL)
			rc = directory_answer_fail(arena, &answers[i], failure.text);
		else
			rc = answer_one(arena, index, &addresses[i], &answers[i]);
	}
	return rc == 0 ? 0 : err_memory(err);
}

static int files_probe(void *self, struct err *err)
{
	struct files *files = self;
	struct err failure = { .class = ERR_NONE };
	struct index *index = take_index(files, &failure);

	if (index == NULL)
		return err_set(err, failure.class, "%s", failure.text);
	index_release(index);
	return 0;
}

static void files_free(void *self)
{
	struct files *files = self;

	index_release(files->current);
	pthread_mutex_destroy(&files->mutex);
	free(files->path);
	free(files->name);
	free(files);
}

static const struct directory_class files_class = { .find = files_find, .probe = files_probe, .free = files_free };

static struct files *files_new(const char *path, const struct directory_env *env)
{
	static const char prefix[] = "files:";
	struct files *files = calloc(1, sizeof(*files));

	if (files == NULL)
		return NULL;
	files->path = strdup(path);
	files->name = malloc(sizeof(prefix) + strlen(path));
	if (files->path == NULL || files->name == NULL || pthread_mutex_init(&files->mutex, NULL) != 0) {
		free(files->path);
		free(files->name);
		free(files);
		return NULL;
	}
	memcpy(files->name, prefix, sizeof(prefix) - 1);
	memcpy(files->name + sizeof(prefix) - 1, path, strlen(path) + 1);
	files->clock = env->clock;
	files->sink = env->sink;
	return files;
}

/* What cannot be read at the start is a mistake in the configuration; later it is a reason to try later. */
static int files_open(const void *settings, struct conf *conf, const struct conf_report *report,
		      const struct directory_env *env, struct directory *directory, struct err *err)
{
	const struct files_settings *given = settings;
	struct files *files = files_new(given->path, env);
	struct err why;

	(void)report;
	if (files == NULL)
		return err_memory(err);
	if (files_probe(files, &why) != 0) {
		files_free(files);
		return conf_finding(conf, &given->path, err, "path: %s", why.text);
	}
	directory->class = &files_class;
	directory->self = files;
	directory->name = files->name;
	return 0;
}

static const struct conf_row files_rows[] = {
	DIRECTORY_ROWS(struct files_settings, "0", "0", "0"),
	{ .name = "path", .type = CONF_STRING, .offset = offsetof(struct files_settings, path), .required = true },
	{ .name = NULL }
};

static const struct conf_table files_table = { .rows = files_rows, .size = sizeof(struct files_settings) };

const struct directory_driver directory_files_driver = { .type = "files", .table = &files_table, .open = files_open };
