// What a latent is held to where a part of a picture is painted alone: kernels/guide.py, operation
// by operation.
#pragma once
#include "device.h"
#include "row.cuh"
#include "slots.cuh"

// The slot's clean latent, its first noise and its mask, [GUIDES, count] each.
struct Guide {
    const float* picture;
    const float* noise;
    const float* mask;
};

__device__ inline Guide guide_of(const float* guides, int slot, size_t count) {
    const float* picture = guides + (size_t)slot * GUIDES * count;
    return {picture, picture + count, picture + 2 * count};
}

__device__ inline Eight held(const Eight& values, const Guide& guide, const float mix[2], size_t at,
                             int live, bool whole) {
    if (mix[0] == 0) return values;
    Eight rest = scaled(load_live(guide.picture + at, live, whole), mix[0]);
    if (mix[1] != 0) {
        const Eight noise = scaled(load_live(guide.noise + at, live, whole), mix[1]);
        for (int i = 0; i < WIDTH; ++i) rest.of[i] = __fadd_rn(rest.of[i], noise.of[i]);
    }
    const Eight mask = load_live(guide.mask + at, live, whole);
    Eight out;
    for (int i = 0; i < WIDTH; ++i)
        out.of[i] = __fadd_rn(__fmul_rn(values.of[i], mask.of[i]),
                              __fmul_rn(rest.of[i], __fsub_rn(1.0f, mask.of[i])));
    return out;
}

__device__ inline void hold_prediction(Eight& eps, const Eight& x, const Guide& guide,
                                       const StepRow& row, size_t at, int live, bool whole) {
    if (row.p == 0) return;
    const Eight mask = load_live(guide.mask + at, live, whole);
    const Eight picture = scaled(load_live(guide.picture + at, live, whole), row.p);
    const Eight seen = held(x, guide, row.seen, at, live, whole);
    for (int i = 0; i < WIDTH; ++i) {
        const float rest = __fmul_rn(picture.of[i], __fsub_rn(1.0f, mask.of[i]));
        const float before = __fadd_rn(__fmul_rn(eps.of[i], mask.of[i]), rest);
        const float apart = __fsub_rn(x.of[i], __fmul_rn(mask.of[i], seen.of[i]));
        eps.of[i] = __fadd_rn(before, __fmul_rn(apart, row.q));
    }
}
