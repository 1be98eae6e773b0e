/* known_cas.c - see known_cas.h. Called by path.c. */
#include "pki/known_cas.h"

#include <pthread.h>
#include <stdlib.h>

struct known_cas {
	pthread_mutex_t mutex;	/* guards all below */
	struct cert *certs[KNOWN_CAS];
	size_t n, next;		/* next: where a new one goes when all places are taken */
};

struct known_cas *known_cas_new(void)
{
	struct known_cas *known = calloc(1, sizeof(*known));

	if (known == NULL || pthread_mutex_init(&known->mutex, NULL) == 0)
		return known;
	free(known);
	return NULL;
}

void known_cas_free(struct known_cas *known)
{
	if (known == NULL)
		return;
	for (size_t i = 0; i < known->n; i++)
		cert_free(known->certs[i]);
	pthread_mutex_destroy(&known->mutex);
	free(known);
}

static bool is_known(const struct known_cas *known, const struct cert *cert)
{
	for (size_t i = 0; i < known->n; i++)
		if (cert_equal(known->certs[i], cert))
			return true;
	return false;
}

void known_cas_keep(struct known_cas *known, struct cert *cert)
{
	pthread_mutex_lock(&known->mutex);
	if (!is_known(known, cert) && known->n < KNOWN_CAS) {
		known->certs[known->n++] = cert_ref(cert);
	} else if (!is_known(known, cert)) {
		cert_free(known->certs[known->next]);
		known->certs[known->next] = cert_ref(cert);
		known->next = (known->next + 1) % KNOWN_CAS;
	}
	pthread_mutex_unlock(&known->mutex);
}

int known_cas_add_to(struct known_cas *known, struct cert_list *list)
{
	int rc = 0;

	pthread_mutex_lock(&known->mutex);
	for (size_t i = 0; rc == 0 && i < known->n; i++)
		rc = cert_list_add(list, known->certs[i]);
	pthread_mutex_unlock(&known->mutex);
	return rc;
}
