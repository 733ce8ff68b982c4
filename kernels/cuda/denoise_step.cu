// One model evaluation for every slot of a launch: guidance, the sampler's update, noise, history,
// the next model input. The arithmetic is that of kernels/denoise_step.py, operation by operation:
// every product and every sum is rounded to float32, and a term whose coefficient is zero is left
// out. grid.y is the slot's place in the launch; x strides over groups of eight elements.
#include "device.h"
#include "guide.cuh"
#include "philox.cuh"
#include "row.cuh"
#include "slots.cuh"

__device__ inline void add_product(Eight& total, float weight, const Eight& values) {
    if (weight == 0) return;
    for (int i = 0; i < WIDTH; ++i)
        total.of[i] = __fadd_rn(total.of[i], __fmul_rn(values.of[i], weight));
}

template <typename T>
__device__ inline void step_group(const Entry& entry, const StepRow& row, size_t at, size_t count,
                                  size_t pitch, unsigned long long seed, const float* given,
                                  const Guide& guide, float* latent, float* history,
                                  const T* outputs, T* inputs) {
    const int live = count - at < WIDTH ? (int)(count - at) : WIDTH;
    const bool whole = aligned(count) && aligned(pitch) && live == WIDTH;
    Eight eps = {};
    for (int r = 0; r < entry.count; ++r) {
        const T* from = outputs + (size_t)entry.rows[r] * count + at;
        const Eight term = scaled(load_live(from, live, whole), row.weights[r]);
        for (int i = 0; i < WIDTH; ++i)
            eps.of[i] = r == 0 ? term.of[i] : __fadd_rn(eps.of[i], term.of[i]);
    }
    Eight x = load_live(latent + at, live, whole);
    hold_prediction(eps, x, guide, row, at, live, whole);
    const bool keeps = row.e != 0 || row.f != 0;
    Eight kept = {};
    if (keeps) {
        kept = scaled(x, row.e);
        add_product(kept, row.f, eps);
    }
    x = scaled(x, row.a);
    add_product(x, row.b, eps);
    if (row.c != 0) {
        Eight noise;
        if (row.draw == GIVEN)
            noise = load_live(given + at, live, whole);
        else
            for (int i = 0; i < WIDTH; ++i)
                noise.of[i] = normal(seed, row.draw, (unsigned int)(at + i));
        add_product(x, row.c, noise);
    }
    for (int k = 0; k < HISTORIES; ++k)
        if (row.d[k] != 0)
            add_product(x, row.d[k], load_live(history + k * count + at, live, whole));
    if (keeps) store_live(history + row.write * count + at, kept, live, whole);
    x = held(x, guide, row.kept, at, live, whole);
    store_live(latent + at, x, live, whole);
    const Eight next = scaled(held(x, guide, row.shown, at, live, whole), row.c_in);
    for (int r = 0; r < entry.count; ++r)
        store_live(inputs + (size_t)entry.rows[r] * pitch + at, next, live, whole);
}

// table [slots, steps], seeds [slots, SEEDS], noises and latents [slots, count], histories [slots,
// HISTORIES, count], outputs [rows, count], inputs [rows, pitch] of which a row's first `count` are
// written, timesteps [rows], guides [slots, GUIDES, count]; noises may be null where no slot is given
// its noise, guides where none has one, histories where no sampler keeps any.
template <typename T>
__device__ inline void denoise_step(const Launch& launch, const StepRow* table, int steps,
                                    const unsigned long long* seeds, size_t count, size_t pitch,
                                    const float* noises, const float* guides, float* latents,
                                    float* histories, const T* outputs, T* inputs,
                                    float* timesteps) {
    const Entry& entry = launch.entries[blockIdx.y];
    const StepRow& row = table[(size_t)entry.slot * steps + entry.step];
    if (blockIdx.x == 0)
        for (int r = threadIdx.x; r < entry.count; r += blockDim.x)
            timesteps[entry.rows[r]] = row.timestep;
    const unsigned long long seed = seeds[entry.slot * SEEDS + 1];
    const float* given = noises ? noises + (size_t)entry.slot * count : nullptr;
    const Guide guide = guide_of(guides, entry.slot, count);
    float* latent = latents + (size_t)entry.slot * count;
    float* history = histories + (size_t)entry.slot * HISTORIES * count;
    const size_t stride = (size_t)gridDim.x * blockDim.x * WIDTH;
    for (size_t at = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * WIDTH; at < count; at += stride)
        step_group(entry, row, at, count, pitch, seed, given, guide, latent, history, outputs,
                   inputs);
}

extern "C" __global__ void denoise_step_float(const Launch launch, const StepRow* table, int steps,
                                              const unsigned long long* seeds, size_t count,
                                              size_t pitch, const float* noises,
                                              const float* guides, float* latents,
                                              float* histories, const float* outputs,
                                              float* inputs, float* timesteps) {
    denoise_step(launch, table, steps, seeds, count, pitch, noises, guides, latents, histories,
                 outputs, inputs, timesteps);
}

extern "C" __global__ void denoise_step_half(const Launch launch, const StepRow* table, int steps,
                                             const unsigned long long* seeds, size_t count,
                                             size_t pitch, const float* noises,
                                             const float* guides, float* latents,
                                             float* histories, const __half* outputs,
                                             __half* inputs, float* timesteps) {
    denoise_step(launch, table, steps, seeds, count, pitch, noises, guides, latents, histories,
                 outputs, inputs, timesteps);
}
