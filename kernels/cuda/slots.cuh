// What a launch works on. kernels/launch.py builds the same structures; a test compares sizes.
#pragma once

constexpr int ROWS = 8;       // rows a slot may have in a call: guidance takes two, AND one each
constexpr int HISTORIES = 3;  // what the most demanding sampler keeps
constexpr int ENTRIES = 32;   // slots of one launch
constexpr int GUIDES = 3;     // of a slot: its clean latent, its first noise, its mask
constexpr int SEEDS = 2;      // of a slot: of its first latent, of the noise its steps add
constexpr unsigned int GIVEN = 0xFFFFFFFFu;  // as a draw's number: the noise lies in a buffer

// Row 0 of a slot's table begins it: the first latent is a times the noise, and b times a picture's
// latent where b is not zero. Row k is what follows evaluation k. The table lies on the device before the loop.
struct StepRow {
    float a, b, c, e, f, c_in;
    float d[HISTORIES];
    float weights[ROWS];  // of the outputs, in the order of the slot's rows
    float p, q;           // what holds the prediction, if p is not zero: kernels/guide.py
    float seen[2], kept[2], shown[2];  // mixes of this evaluation's input, of x', of the next input
    float timestep;       // of the next evaluation
    unsigned int draw;    // number of the noise draw, read where c is not zero
    int write;            // the history buffer that e and f fill
};

// A slot's part of one launch: the row of its table, and its rows in the network's outputs and in
// its next inputs.
struct Entry {
    int slot;
    int step;
    int count;
    short rows[ROWS];
};

// Passed by value, so that a launch needs no copy before it.
struct Launch {
    Entry entries[ENTRIES];
};
