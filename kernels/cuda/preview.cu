// Small pictures of latents that are still noisy: kernels/preview.py. latents [slots, 4, area],
// pixels [launch, area, 3]; factors [4][3] and offsets [3] of a family. grid.y is the slot's place
// in the launch.
#include "device.h"
#include "slots.cuh"

struct Colours {
    float factors[4][3];
    float offsets[3];
};

extern "C" __global__ void preview(const Launch launch, const Colours colours, size_t area,
                                   const float* latents, unsigned char* pixels) {
    const float* latent = latents + (size_t)launch.entries[blockIdx.y].slot * 4 * area;
    unsigned char* to = pixels + (size_t)blockIdx.y * 3 * area;
    const size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x; at < area; at += stride)
        for (int channel = 0; channel < 3; ++channel) {
            float sum = colours.offsets[channel];
            for (int plane = 0; plane < 4; ++plane)
                sum = __fadd_rn(sum, __fmul_rn(latent[plane * area + at],
                                               colours.factors[plane][channel]));
            float v = __fmul_rn(__fadd_rn(sum, 1.0f), 0.5f);
            v = v > 0.0f ? v : 0.0f;  // NaN is not larger
            v = v < 1.0f ? v : 1.0f;
            to[3 * at + channel] = (unsigned char)__fmul_rn(v, 255.0f);
        }
}
