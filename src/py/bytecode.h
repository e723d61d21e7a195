/* SPDX-License-Identifier: MIT
 *
 * Derived bytecode: pycs of a distribution's sources, made by clean processes (isolated, no site)
 * of the interpreter itself, in PEP 552's unchecked-hash form with the source's true hash,
 * optimisation 0. co_filename is the path relative to site-packages; the importer puts the real one
 * in its place.
 *
 * A job is one distribution's sources, cut into batches, which several compilers may do at once.
 */
#ifndef PY_BYTECODE_H
#define PY_BYTECODE_H

#include "base/diag.h"
#include "py/compiler.h"
#include "py/interpreter.h"
#include "store/ingest.h"
#include "store/store.h"

/* Whether bytecode is derived for this interpreter: a CPython whose cache tag and magic number are
 * known. */
bool bytecode_wanted(const struct interpreter *py);
/* "cpython-311-a70d0d0a-0": under which store_pyc() has it. -EINVAL unless bytecode_wanted(). */
int bytecode_key(const struct interpreter *py, struct str *out);
/* Whether a file of a distribution gets one: tree site, "NAME.py", and the name of its pyc is one
 * that a file may have. */
bool bytecode_is_source(const struct entry *e, const struct interpreter *py);
/* "pkg/mod.py" -> "pkg/__pycache__/mod.cpython-311.pyc" */
int bytecode_path(const char *source, const char *cache_tag, struct str *out);

struct bytecode_job;
/* One without a source has no batch; storing it says that there is nothing to make. */
int bytecode_job_new(struct dist *d, const struct interpreter *py, struct bytecode_job **ret);
void bytecode_job_free(struct bytecode_job *job);
struct dist *bytecode_job_dist(const struct bytecode_job *job); /* borrowed */
size_t bytecode_job_batches(const struct bytecode_job *job);
/* Compiles one batch; any thread, each batch once. A source that does not compile has no pyc and is
 * no error. -EBADMSG, -EIO: the store's bytes are not what they were; else as compiler_ask(). After
 * a failure the job is only to be freed. */
int bytecode_job_run(struct bytecode_job *job, size_t batch, struct compiler *c, struct diag *diag);
/* Stages the pycs, after all batches were run; visible with ingest_commit(). */
int bytecode_job_store(struct bytecode_job *job, struct ingest *in, size_t *ret_files,
	size_t *ret_uncompiled, struct diag *diag);

#endif
