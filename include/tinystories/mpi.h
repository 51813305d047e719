/*
 * libtinystories-mpi: a ts_communicator from MPI, for training on several machines (mpirun -n N tinystories train --mpi ...). A library of its own, built with
 * TINYSTORIES_MPI=ON, so that libtinystories itself needs no MPI; link it with -ltinystories-mpi.
 */
#ifndef TINYSTORIES_MPI_H
#define TINYSTORIES_MPI_H

#include "tinystories/trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Fills a communicator that speaks through a duplicate of `comm`, the address of an MPI_Comm; NULL: MPI_COMM_WORLD. MPI is begun (MPI_Init_thread, funneled) if the
 * program has not done it; the thread that steps the trainer must then be this one. A collective call. NETWORK: MPI answered an error, or is over already.
 */
TS_API ts_status ts_mpi_begin(ts_communicator *communicator, const void *comm);

/* Gives the duplicate back and, if ts_mpi_begin began MPI, ends it. A collective call: after a failure of one rank leave it out and end the process, so that mpirun ends the
 * others. */
TS_API void ts_mpi_end(ts_communicator *communicator);

#ifdef __cplusplus
}
#endif

#endif
