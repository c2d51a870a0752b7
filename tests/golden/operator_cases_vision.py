"""The cases of operators that look at images: positions, regions of interest, colors; and of MXNet's contributions."""

from operator_cases import Case, ints, scored, uniform, values

FAMILIES = {}


def family(name, *cases):
    FAMILIES[name] = list(cases)


family(
    'spatial',
    Case('GridGenerator', (2, 6), transform_type='affine', target_shape=(2, 3)),
    Case('GridGenerator', (2, 2, 2, 3), transform_type='warp'),
    Case('BilinearSampler', (2, 2, 3, 4), uniform(-1.3, 1.3, 2, 2, 2, 3)),
    Case('SpatialTransformer', (2, 2, 3, 4), (2, 6), target_shape=(2, 3), transform_type='affine',
         sampler_type='bilinear'),
    Case('Correlation', (1, 2, 5, 6), (1, 2, 5, 6), max_displacement=2, stride2=2, pad_size=2),
    Case('Correlation', (2, 2, 6, 7), (2, 2, 6, 7), kernel_size=3, stride1=2, pad_size=1, is_multiply=False),
    Case('im2col', (1, 2, 4, 5), kernel=(2, 3), stride=(2, 1), dilate=(1, 2), pad=(1, 1)),
    Case('col2im', (1, 8, 9), output_size=(4, 4), kernel=(2, 2)),
    Case('col2im', (2, 12, 6), output_size=(4, 5), kernel=(2, 3), stride=(2, 1), dilate=(2, 1), pad=(1, 0)),
    Case('_contrib_box_nms', scored(2, 6), overlap_thresh=0.3, out_format='center', id_index=0),
)

REGIONS = values([0, 1, 1, 6, 7], [1, 0, 2, 9, 5], [1, 3, 3, 3, 3], [0, -3, -2, 4, 20])
ROTATED = values([0, 3, 3, 4, 3, 30], [1, 2, 4, 9, 0, -100])
PROPOSED = uniform(0, 1, 2, 4, 3, 2), uniform(-0.3, 0.3, 2, 8, 3, 2), values([40, 32, 1], [48, 20, 0.9])

family(
    'regions',
    Case('ROIPooling', (2, 2, 6, 7), REGIONS, pooled_size=(2, 3), spatial_scale=0.7),
    Case('ROIPooling', (2, 1, 6, 7), REGIONS, pooled_size=(7, 7), spatial_scale=1.0),
    Case('_contrib_ROIAlign', (2, 2, 6, 7), REGIONS, pooled_size=(2, 3), spatial_scale=0.7),
    Case('_contrib_ROIAlign', (2, 12, 6, 7), REGIONS, pooled_size=(2, 3), spatial_scale=0.7, sample_ratio=2,
         position_sensitive=True),
    Case('_contrib_ROIAlign', (1, 2, 6, 7), values([0, 1, 1, 6, 7]), pooled_size=(2, 2), spatial_scale=0.5, aligned=True),
    Case('_contrib_RROIAlign', (2, 2, 6, 7), ROTATED, pooled_size=(2, 3), spatial_scale=0.9, grad_=0),
    Case('_contrib_RROIAlign', (2, 2, 6, 7), ROTATED, pooled_size=(2, 2), spatial_scale=1, sampling_ratio=2, grad_=0),
    Case('_contrib_PSROIPooling', (2, 8, 6, 7), REGIONS, spatial_scale=0.7, output_dim=2, pooled_size=2),
    Case('_contrib_PSROIPooling', (2, 4, 6, 7), REGIONS, spatial_scale=0.7, output_dim=1, pooled_size=3, group_size=2),
    Case('_contrib_Proposal', uniform(0, 1, 1, 4, 3, 2), uniform(-0.3, 0.3, 1, 8, 3, 2), values([50, 40, 1]),
         scales=(1, 2), ratios=(1,), rpn_post_nms_top_n=4, rpn_min_size=2, threshold=0.5, output_score=True, grad_=0),
    Case('_contrib_MultiProposal', *PROPOSED, scales=(1,), ratios=(0.5, 2), rpn_post_nms_top_n=20, rpn_min_size=12,
         rpn_pre_nms_top_n=8, threshold=0.3, output_score=True, grad_=0),
    Case('_contrib_MultiProposal', *PROPOSED, scales=(1,), ratios=(0.5, 2), rpn_post_nms_top_n=3, iou_loss=True, grad_=0),
)

CONVOLVED = {'kernel': (2, 2), 'num_filter': 4}

family(
    'deformable',
    Case('_contrib_DeformableConvolution', (2, 4, 4, 5), (2, 8, 3, 4), (4, 4, 2, 2), (4,), **CONVOLVED),
    Case('_contrib_DeformableConvolution', (1, 4, 5, 5), (1, 16, 3, 3), (4, 2, 2, 2), num_group=2, no_bias=True,
         num_deformable_group=2, stride=(2, 2), dilate=(2, 1), pad=(1, 1), **CONVOLVED),
    Case('_contrib_ModulatedDeformableConvolution', (2, 4, 4, 5), (2, 8, 3, 4), (2, 4, 3, 4), (4, 4, 2, 2), (4,),
         grad_=0, **CONVOLVED),
    Case('_contrib_DeformablePSROIPooling', (2, 8, 6, 7), REGIONS, (4, 4, 2, 2), spatial_scale=0.7, output_dim=2,
         group_size=2, pooled_size=3, part_size=2, sample_per_part=2, trans_std=0.1),
    Case('_contrib_DeformablePSROIPooling', (2, 8, 6, 7), REGIONS, spatial_scale=0.7, output_dim=2, group_size=2,
         pooled_size=2, sample_per_part=2, no_trans=True),
)

family(
    'counts',
    Case('_histogram', (3, 4), bin_cnt=4, range=(-1.0, 1.0), grad_=0),
    Case('_histogram', (3, 4), values(-1, 0, 0.5, 2), grad_=0),
    Case('_contrib_hawkesll', uniform(0.5, 2, 2, 3), uniform(0.1, 0.5, 3), uniform(0.5, 2, 3), uniform(0, 1, 2, 3),
         uniform(0.1, 1, 2, 4), ints(0, 3, 2, 4, dtype='int32'), values(4, 2), values(5, 6), grad_=3),
)

PICTURE = ints(0, 256, 6, 4, 3, dtype='uint8')  # MXNet forgets the middle column of odd ones that it flips
PICTURES = ints(0, 256, 2, 6, 5, 3, dtype='uint8')

family(
    'image',
    Case('_image_to_tensor', PICTURE),
    Case('_image_to_tensor', PICTURES),
    Case('_image_normalize', (3, 4, 5), mean=(0.1, 0.2, 0.3), std=(1, 2, 3)),
    Case('_image_normalize', (2, 1, 4, 5), mean=(0.1,), std=(2,)),
    Case('_image_crop', PICTURES, x=1, y=2, width=3, height=4),
    Case('_image_crop', (6, 5, 3), x=0, y=1, width=5, height=2),
    Case('_image_resize', PICTURE, size=(7, 3)),
    Case('_image_resize', PICTURES, size=4, keep_ratio=True),
    Case('_image_resize', uniform(0, 255, 6, 5, 3), size=(4, 9), grad_=0),
    Case('_image_resize', PICTURE, size=(3, 8), interp=0),
    Case('_image_flip_left_right', PICTURE),
    Case('_image_flip_top_bottom', PICTURE),
    Case('_image_adjust_lighting', PICTURE, alpha=(0.1, -0.2, 0.3)),
    Case('_image_random_brightness', PICTURE, min_factor=1.5, max_factor=1.5),
    Case('_image_random_contrast', uniform(0, 255, 4, 5, 3), min_factor=0.4, max_factor=0.4, grad_=0),
    Case('_image_random_saturation', uniform(0, 255, 4, 5, 3), min_factor=0.4, max_factor=0.4, grad_=0),
    Case('_image_random_hue', uniform(0, 255, 4, 5, 3), min_factor=0.4, max_factor=0.4, grad_=0),
    Case('_image_random_lighting', PICTURE, alpha_std=0.0),
)
