/*
 * llm.c's training speed on a GPT-2 shape, to be measured beside ours.
 *
 * gcc -Ofast -march=native -fopenmp -I LLM_C peer_llmc_speed.c -lm -o peer_llmc_speed && OMP_NUM_THREADS=2 ./peer_llmc_speed WIDTH DEPTH HEADS VOCABULARY T BATCH
 * where LLM_C is a checkout of github.com/karpathy/llm.c. Writes a random checkpoint into the working directory and prints the median of five steps.
 */
#define TESTING
#include "train_gpt2.c"

static unsigned random_number(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int count, char **arguments)
{
    if (count != 7) {
        fprintf(stderr, "usage: peer_llmc_speed WIDTH DEPTH HEADS VOCABULARY T BATCH\n");
        return 2;
    }
    int C = atoi(arguments[1]), L = atoi(arguments[2]), H = atoi(arguments[3]), V = atoi(arguments[4]), T = atoi(arguments[5]), B = atoi(arguments[6]);
    int header[256] = {20240326, 3, T, V, L, H, C, (V + 127) / 128 * 128};
    size_t Vp = header[7], parameters = Vp * C + (size_t)T * C + (size_t)L * (12 * (size_t)C * C + 13 * C) + 2 * C;
    FILE *file = fopen("peer_llmc.bin", "wb");
    fwrite(header, sizeof header, 1, file);
    uint64_t random = 1;
    for (size_t i = 0; i < parameters; i++) {
        float value = ((float)random_number(&random) / 2147483648.0f - 0.5f) * 0.04f;
        fwrite(&value, sizeof value, 1, file);
    }
    fclose(file);

    GPT2 model;
    gpt2_build_from_checkpoint(&model, "peer_llmc.bin");
    int *ids = malloc(2 * (size_t)B * T * sizeof *ids);
    for (int i = 0; i < 2 * B * T; i++)
        ids[i] = (int)(random_number(&random) % (unsigned)V);
    double times[6];
    for (int step = 0; step < 6; step++) {
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        gpt2_forward(&model, ids, ids + B * T, B, T);
        gpt2_zero_grad(&model);
        gpt2_backward(&model);
        gpt2_update(&model, 1e-4f, 0.9f, 0.999f, 1e-8f, 0.0f, step + 1);
        clock_gettime(CLOCK_MONOTONIC, &end);
        times[step] = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    }
    qsort(times + 1, 5, sizeof *times, by_value);
    printf("llm.c width %d depth %d V %d T %d B %d: %.2fM parameters, %.0f tokens/s\n", C, L, V, T, B, (double)model.num_parameters / 1e6, B * T / times[3]);
    remove("peer_llmc.bin");
    return 0;
}
