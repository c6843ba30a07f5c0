#!/bin/sh
# The first stages of RFFR and Delocate in their small presets, on photographs and on the studio (data/cast, by benchmarks.studies.cast):
# sh benchmarks/studio/first_stages.sh PEOPLE, a folder of photographs of real people, NAME.jpg; some two hours on 2 cores
set -eu
people=${1:?give a folder of photographs of real people, NAME.jpg}
suite="${PYTHON:-python} -m suite"
faces="--data configs/studio/real_faces.yaml"
rates="--data.batch_size 32 --data.clips_per_face 6 --data.image_size 128 --data.num_workers 0 --data.eval_clips 1"

for set in "people $people" "london datamodules/studio/london"; do
    $suite prepare --data configs/data/photographs.yaml --data.root "${set#* }" --data.prepared "data/photographs/${set%% *}" --size 160
done

fit() { # name, config, epochs, faces, more
    run=$1 config=$2 epochs=$3 from=$4
    shift 4
    $suite fit --config "configs/$config.yaml" --config configs/studio/pretrained/mae.yaml $from $rates \
        --model.scheduler.epochs "$epochs" --trainer.max_epochs "$epochs" --run "runs/$run" --ckpt_path last "$@"
}

# most of what is hidden at random helps a step along; a single block hardly does
scattered="--model.masking lightning_modules.mae.masking.Scattered --model.masking.share 0.5"
blocks="--model.masking.grid.patches 8 --model.masking.grid.block 2 --model.masking.grid.border 0 --model.masking.passes 4"
studio="--data configs/data/studio.yaml --data.root data/cast --data.prepared data/cast/prepared --data.methods []"

fit recover rffr_pretrain 100 "$faces" $scattered
fit recover_blocks rffr_pretrain 10 "$faces" --model.weights runs/recover/checkpoints/best.ckpt $blocks
fit recover_parts delocate_pretrain 10 "$faces" --model.weights runs/recover/checkpoints/best.ckpt
fit recover_anywhere delocate_pretrain 10 "$faces" --model.weights runs/recover/checkpoints/best.ckpt --model.masking.region face
rates="$rates --data.clips_per_face 60"  # 70 steps in an epoch, where both sets have 49
fit recover_studio rffr_pretrain 100 "$studio" $scattered
fit recover_blocks_studio rffr_pretrain 10 "$studio" --model.weights runs/recover_studio/checkpoints/best.ckpt $blocks
