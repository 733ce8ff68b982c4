// The first latent of every slot of a launch: kernels/init_noise.py. grid.y is the slot's place in
// the launch.
#include "device.h"
#include "philox.cuh"
#include "row.cuh"
#include "slots.cuh"

// table [slots, steps], seeds [slots, SEEDS], noises and latents [slots, count], guides [slots,
// GUIDES, count]; noises may be null where no slot is given its noise, guides where none has one.
extern "C" __global__ void init_noise(const Launch launch, const StepRow* table, int steps,
                                      const unsigned long long* seeds, size_t count,
                                      const float* noises, const float* guides, float* latents) {
    const Entry& entry = launch.entries[blockIdx.y];
    const StepRow row = table[(size_t)entry.slot * steps];
    const unsigned long long seed = seeds[entry.slot * SEEDS];
    const size_t first = (size_t)entry.slot * count;
    const size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x; at < count; at += stride) {
        const float noise = row.draw == GIVEN ? noises[first + at]
                                              : normal(seed, row.draw, (unsigned int)at);
        float x = __fmul_rn(noise, row.a);
        if (row.b != 0) x = __fadd_rn(x, __fmul_rn(guides[GUIDES * first + at], row.b));
        latents[first + at] = x;
    }
}
