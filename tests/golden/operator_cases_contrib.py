"""More cases of MXNet's operators: those that stand alone, of contrib and of images. As in operator_cases.py."""

from operator_cases import Case, ints, uniform, values

FAMILIES = {'contrib': [
    Case('CTCLoss', (5, 2, 4), values([1, 2, 0], [3, 3, 1]), grad_=1),
    Case('CTCLoss', (5, 2, 4), values([0, 2, -1], [1, 1, 2]), blank_label='last', grad_=1),
    Case('CTCLoss', (5, 2, 4), values([1, 2, 3], [3, 3, 1]), values(4, 5), values(2, 3), use_data_lengths=True,
         use_label_lengths=True, grad_=1),
    Case('_contrib_quadratic', (2, 3), a=2.0, b=-1.0, c=0.5),
    Case('_contrib_gradientmultiplier', (2, 3), scalar=-0.5),
    Case('_contrib_round_ste', uniform(-3, 3, 2, 3)),
    Case('_contrib_sign_ste', (2, 3)),
    Case('_contrib_allclose', values(1, 2), values(1, 2.1), grad_=0),
    Case('_identity_with_attr_like_rhs', (2, 3), (2, 3), grad_=1),
    Case('all_finite', values(1, float('inf')), grad_=0),
    Case('multi_sum_sq', (2, 3), (4,), num_arrays=2, grad_=0),
    Case('_image_to_tensor', ints(0, 256, 2, 3, 3, dtype='uint8')),
    Case('_image_normalize', (3, 2, 2), mean=(0.1, 0.2, 0.3), std=(1, 2, 3), grad_=0),
    Case('_image_flip_left_right', (2, 4, 3), grad_=0),
    Case('_image_crop', (4, 5, 3), x=1, y=0, width=2, height=3, grad_=0),
]}
