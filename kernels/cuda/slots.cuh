// What a launch works on. kernels/launch.py builds the same structures; a test compares sizes.
#pragma once

constexpr int ROWS = 8;       // rows a slot may have in a call: guidance takes two, AND one each
constexpr int HISTORIES = 3;  // what the most demanding sampler keeps
constexpr int ENTRIES = 32;   // slots of one launch

// One evaluation of a slot's table; lies on the device before the loop.
struct StepRow {
    float a, b, c, e, f, c_in;
    float d[HISTORIES];
    float weights[ROWS];  // of the outputs, in the order of the slot's rows
    float timestep;       // of the next evaluation
    unsigned int draw;    // number of the noise draw, read where c is not zero
    int write;            // the history buffer that e and f fill
};

// A slot's part of one launch: which step it takes, and where its rows lie in this call's outputs
// and in the next call's inputs.
struct Entry {
    int slot;
    int step;
    short outputs;
    short inputs;
    short output_rows[ROWS];
    short input_rows[ROWS];
};

// Passed by value, so that a launch needs no copy before it.
struct Launch {
    Entry entries[ENTRIES];
};
