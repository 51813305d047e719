/* libtinystories: small language models that tell children's stories (Eldan & Li 2023), written, trained, told and graded. */
#ifndef TINYSTORIES_H
#define TINYSTORIES_H

#include "tinystories/base.h"
#include "tinystories/version.h"
#include "tinystories/tokenizer.h"
#include "tinystories/model.h"
#include "tinystories/trainer.h"
#include "tinystories/sampler.h"
#include "tinystories/chat.h"
#include "tinystories/generator.h"
#include "tinystories/dataset.h"
#include "tinystories/diversity.h"
#include "tinystories/evaluator.h"
#include "tinystories/study.h"
#include "tinystories/analysis.h"

#endif
