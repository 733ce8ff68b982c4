// The next model input of every slot of a launch, where it has not been written by a step: the slot
// is new, or its rows have moved. kernels/model_inputs.py. grid.y is the slot's place in the launch.
#include "device.h"
#include "guide.cuh"
#include "row.cuh"
#include "slots.cuh"

// table [slots, steps]; with steps 0 all slots share one row. latents [slots, count], inputs [rows,
// pitch] of which a row's first `count` are written, timesteps [rows] or null; guides [slots, GUIDES,
// count] or null where no slot has one.
template <typename T>
__device__ inline void model_inputs(const Launch& launch, const StepRow* table, int steps,
                                    size_t count, size_t pitch, const float* guides,
                                    const float* latents, T* inputs, float* timesteps) {
    const Entry& entry = launch.entries[blockIdx.y];
    const StepRow& row = table[(size_t)entry.slot * steps + entry.step];
    const float c_in = row.c_in;
    if (blockIdx.x == 0 && timesteps)
        for (int r = threadIdx.x; r < entry.count; r += blockDim.x)
            timesteps[entry.rows[r]] = row.timestep;
    const float* latent = latents + (size_t)entry.slot * count;
    const Guide guide = guide_of(guides, entry.slot, count);
    const size_t stride = (size_t)gridDim.x * blockDim.x * WIDTH;
    for (size_t at = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * WIDTH; at < count; at += stride) {
        const int live = count - at < WIDTH ? (int)(count - at) : WIDTH;
        const bool whole = aligned(count) && aligned(pitch) && live == WIDTH;
        const Eight x = load_live(latent + at, live, whole);
        const Eight next = scaled(held(x, guide, row.shown, at, live, whole), c_in);
        for (int r = 0; r < entry.count; ++r)
            store_live(inputs + (size_t)entry.rows[r] * pitch + at, next, live, whole);
    }
}

extern "C" __global__ void model_inputs_float(const Launch launch, const StepRow* table, int steps,
                                              size_t count, size_t pitch, const float* guides,
                                              const float* latents, float* inputs,
                                              float* timesteps) {
    model_inputs(launch, table, steps, count, pitch, guides, latents, inputs, timesteps);
}

extern "C" __global__ void model_inputs_half(const Launch launch, const StepRow* table, int steps,
                                             size_t count, size_t pitch, const float* guides,
                                             const float* latents, __half* inputs,
                                             float* timesteps) {
    model_inputs(launch, table, steps, count, pitch, guides, latents, inputs, timesteps);
}
