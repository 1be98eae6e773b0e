/* cert_memory.c - see cert_memory.h. Called by milter/lookup_read.c. A mutex guards the table, and nothing is decoded
 * while it is held. */
#include "pki/cert_memory.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/crypt.h"

#define HASH_NONFATAL_OOM 1	/* a failed HASH_ADD leaves hh.tbl NULL */
#include <uthash.h>

struct known {
	UT_hash_handle hh;
	struct cert *cert;
	unsigned char digest[CRYPT_SHA256_BYTES];
};

struct cert_memory {
	pthread_mutex_t mutex;
	struct known *table;		/* uthash keeps the order of insertion: least recently used first */
	size_t limit;
};

struct cert_memory *cert_memory_new(size_t limit, struct err *err)
{
	struct cert_memory *memory = calloc(1, sizeof(*memory));

	if (memory == NULL || pthread_mutex_init(&memory->mutex, NULL) != 0) {
		free(memory);
		err_memory(err);
		return NULL;
	}
	memory->limit = limit;
	return memory;
}

static void forget(struct cert_memory *memory, struct known *known)
{
	HASH_DEL(memory->table, known);
	cert_free(known->cert);
	free(known);
}

void cert_memory_free(struct cert_memory *memory)
{
	if (memory == NULL)
		return;
	while (memory->table != NULL)
		forget(memory, memory->table);
	pthread_mutex_destroy(&memory->mutex);
	free(memory);
}

/* Takes known. One that there is no memory for is simply not remembered. */
static void insert(struct cert_memory *memory, struct known *known)
{
	HASH_ADD_KEYPTR(hh, memory->table, known->digest, sizeof(known->digest), known);
	if (known->hh.tbl != NULL)
		return;
	cert_free(known->cert);
	free(known);
}

/* A new reference, or NULL. */
static struct cert *recall(struct cert_memory *memory, const unsigned char digest[CRYPT_SHA256_BYTES])
{
	struct known *known = NULL;
	struct cert *cert = NULL;

	pthread_mutex_lock(&memory->mutex);
	HASH_FIND(hh, memory->table, digest, CRYPT_SHA256_BYTES, known);
	if (known != NULL) {
		cert = cert_ref(known->cert);
		HASH_DEL(memory->table, known);
		insert(memory, known);
	}
	pthread_mutex_unlock(&memory->mutex);
	return cert;
}

static void remember(struct cert_memory *memory, struct cert *cert, const unsigned char digest[CRYPT_SHA256_BYTES])
{
	struct known *known = calloc(1, sizeof(*known)), *other = NULL;

	if (known == NULL)
		return;
	known->cert = cert_ref(cert);
	memcpy(known->digest, digest, CRYPT_SHA256_BYTES);
	pthread_mutex_lock(&memory->mutex);
	HASH_FIND(hh, memory->table, digest, CRYPT_SHA256_BYTES, other);
	if (other != NULL)	/* decoded by another thread meanwhile */
		forget(memory, other);
	if (HASH_COUNT(memory->table) >= memory->limit)
		forget(memory, memory->table);
	insert(memory, known);
	pthread_mutex_unlock(&memory->mutex);
}

struct cert *cert_memory_get(struct cert_memory *memory, struct slice der, struct err *err)
{
	unsigned char digest[CRYPT_SHA256_BYTES];
	struct cert *cert = NULL;

	if (memory == NULL || crypt_sha256(der.p, der.n, digest, NULL) != 0)
		return cert_from_der(der, err);
	cert = recall(memory, digest);
	if (cert != NULL)
		return cert;
	cert = cert_from_der(der, err);
	if (cert != NULL)
		remember(memory, cert, digest);
	return cert;
}
