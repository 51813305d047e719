/* Ranks that speak through MPI. The only file that includes mpi.h; a library of its own. */
#include "tinystories/mpi.h"

#include <stdlib.h>

#include <mpi.h>

#define PIECE ((size_t)1 << 30) /* bytes of a message: MPI counts in ints */

typedef struct ranks {
    MPI_Comm comm;
    int begun; /* MPI, by us */
} ranks;

static int piece_of(size_t size, size_t done)
{
    return (int)(size - done < PIECE ? size - done : PIECE);
}

static int32_t exchange(void *user, int32_t partner, const void *send, size_t send_size, void *receive, size_t receive_size)
{
    const ranks *r = user;
    size_t sent = 0, received = 0;
    do {
        int out = piece_of(send_size, sent), in = piece_of(receive_size, received);
        if (MPI_Sendrecv((const char *)send + sent, out, MPI_BYTE, partner, 0, (char *)receive + received, in, MPI_BYTE, partner, 0, r->comm, MPI_STATUS_IGNORE) !=
            MPI_SUCCESS)
            return -1;
        sent += (size_t)out;
        received += (size_t)in;
    } while (sent < send_size || received < receive_size);
    return 0;
}

static int32_t broadcast(void *user, void *data, size_t size)
{
    const ranks *r = user;
    for (size_t done = 0; done < size; done += (size_t)piece_of(size, done))
        if (MPI_Bcast((char *)data + done, piece_of(size, done), MPI_BYTE, 0, r->comm) != MPI_SUCCESS)
            return -1;
    return 0;
}

static int begin(ranks *r, const MPI_Comm *comm, ts_communicator *communicator)
{
    int initialized, finalized, provided, rank, size;
    if (MPI_Initialized(&initialized) != MPI_SUCCESS || MPI_Finalized(&finalized) != MPI_SUCCESS || finalized)
        return 0;
    if (!initialized && (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS || provided < MPI_THREAD_FUNNELED))
        return 0;
    r->begun = !initialized;
    if (MPI_Comm_dup(comm ? *comm : MPI_COMM_WORLD, &r->comm) != MPI_SUCCESS || MPI_Comm_set_errhandler(r->comm, MPI_ERRORS_RETURN) != MPI_SUCCESS ||
        MPI_Comm_rank(r->comm, &rank) != MPI_SUCCESS || MPI_Comm_size(r->comm, &size) != MPI_SUCCESS)
        return 0;
    *communicator = (ts_communicator){.struct_size = sizeof *communicator, .user = r, .rank = rank, .size = size, .exchange = exchange, .broadcast = broadcast};
    return 1;
}

ts_status ts_mpi_begin(ts_communicator *communicator, const void *comm)
{
    if (communicator == NULL)
        return TS_ERROR_INVALID_ARGUMENT;
    ranks *r = calloc(1, sizeof *r); /* MPI has its own allocator anyway */
    if (r == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    if (begin(r, comm, communicator))
        return TS_OK;
    free(r);
    return TS_ERROR_NETWORK;
}

void ts_mpi_end(ts_communicator *communicator)
{
    ranks *r = communicator ? communicator->user : NULL;
    if (r == NULL)
        return;
    MPI_Comm_free(&r->comm);
    if (r->begun)
        MPI_Finalize();
    free(r);
    communicator->user = NULL;
}
