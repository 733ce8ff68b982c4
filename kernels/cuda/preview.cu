// Small pictures of what the network takes finished ones for, one thread for each pixel:
// kernels/preview.py, operation by operation. grid.y is the slot's place in the launch.
#include "device.h"
#include "row.cuh"
#include "slots.cuh"

struct Colours {
    float factors[4][3];
    float offsets[3];
};

struct Foresight {
    float a, b;
};

// table [slots, steps], latents [slots, 4, area], outputs [rows, 4, area], pixels [launch, area, 3];
// all slots of the launch have one foresight.
template <typename T>
__device__ inline void preview(const Launch& launch, const StepRow* table, int steps,
                               const Foresight& foresight, const Colours& colours, size_t area,
                               const float* latents, const T* outputs, unsigned char* pixels) {
    const Entry& entry = launch.entries[blockIdx.y];
    const StepRow& row = table[(size_t)entry.slot * steps + entry.step];
    const size_t count = 4 * area;
    const float* latent = latents + (size_t)entry.slot * count;
    unsigned char* to = pixels + (size_t)blockIdx.y * 3 * area;
    const size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x; at < area; at += stride) {
        float sum[3] = {colours.offsets[0], colours.offsets[1], colours.offsets[2]};
        for (int plane = 0; plane < 4; ++plane) {
            const size_t here = plane * area + at;
            float eps = 0.0f;
            for (int r = 0; r < entry.count; ++r) {
                const float output = widen(outputs[(size_t)entry.rows[r] * count + here]);
                const float term = __fmul_rn(output, row.weights[r]);
                eps = r == 0 ? term : __fadd_rn(eps, term);
            }
            float x = __fmul_rn(latent[here], foresight.a);
            if (foresight.b != 0) x = __fadd_rn(x, __fmul_rn(eps, foresight.b));
            for (int channel = 0; channel < 3; ++channel)
                sum[channel] = __fadd_rn(sum[channel], __fmul_rn(x, colours.factors[plane][channel]));
        }
        for (int channel = 0; channel < 3; ++channel) {
            float v = __fmul_rn(__fadd_rn(sum[channel], 1.0f), 0.5f);
            v = v > 0.0f ? v : 0.0f;  // NaN is not larger
            v = v < 1.0f ? v : 1.0f;
            to[3 * at + channel] = (unsigned char)__fmul_rn(v, 255.0f);
        }
    }
}

extern "C" __global__ void preview_float(const Launch launch, const StepRow* table, int steps,
                                         const Foresight foresight, const Colours colours,
                                         size_t area, const float* latents, const float* outputs,
                                         unsigned char* pixels) {
    preview(launch, table, steps, foresight, colours, area, latents, outputs, pixels);
}

extern "C" __global__ void preview_half(const Launch launch, const StepRow* table, int steps,
                                        const Foresight foresight, const Colours colours,
                                        size_t area, const float* latents, const __half* outputs,
                                        unsigned char* pixels) {
    preview(launch, table, steps, foresight, colours, area, latents, outputs, pixels);
}
