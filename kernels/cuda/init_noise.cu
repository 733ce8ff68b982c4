// The first latent of every slot of a launch, and its first model input: kernels/init_noise.py.
#include "device.h"
#include "philox.cuh"
#include "row.cuh"
#include "slots.cuh"

template <typename T>
__device__ inline void init_noise(const Launch& launch, const StepRow* firsts,
                                  const unsigned long long* seeds, size_t count, float* latents,
                                  T* inputs, float* timesteps) {
    const Entry& entry = launch.entries[blockIdx.y];
    const StepRow row = firsts[entry.slot];
    if (blockIdx.x == 0)
        for (int r = threadIdx.x; r < entry.inputs; r += blockDim.x)
            timesteps[entry.input_rows[r]] = row.timestep;
    float* latent = latents + (size_t)entry.slot * count;
    const size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x; at < count; at += stride) {
        const float x = __fmul_rn(normal(seeds[entry.slot], row.draw, (unsigned int)at), row.a);
        latent[at] = x;
        for (int r = 0; r < entry.inputs; ++r)
            narrow(inputs + (size_t)entry.input_rows[r] * count + at, __fmul_rn(x, row.c_in));
    }
}

extern "C" __global__ void init_noise_float(const Launch launch, const StepRow* firsts,
                                            const unsigned long long* seeds, size_t count,
                                            float* latents, float* inputs, float* timesteps) {
    init_noise(launch, firsts, seeds, count, latents, inputs, timesteps);
}

extern "C" __global__ void init_noise_half(const Launch launch, const StepRow* firsts,
                                           const unsigned long long* seeds, size_t count,
                                           float* latents, __half* inputs, float* timesteps) {
    init_noise(launch, firsts, seeds, count, latents, inputs, timesteps);
}
