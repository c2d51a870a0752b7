"""Expressions of `np` and `npx`, which MXNet 1.9.1 and gluonjax.mx evaluate on the same arrays."""

import re

import numpy as np

# name -> values; those of float32 have gradients.
INPUTS = {
    'x': np.array([[0.5, -1.25, 2.0], [-0.75, 0.25, 1.5]], 'float32'),
    'y': np.array([[1.5, 0.75, 2.0], [0.5, -1.75, 1.25]], 'float32'),
    'p': np.array([[0.25, 0.5, 0.75], [0.125, 0.625, 0.875]], 'float32'),
    'm': np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.25], [0.5, -0.25, 2.0]], 'float32'),
    'v': np.array([2.0, -1.0, 0.5], 'float32'),
    'i': np.array([[2, 0, 1], [1, 2, 0]], 'int32'),
    'k': np.array([7, -3, 4], 'int32'),
    'b': np.array([[True, False, True], [False, True, True]]),
    'im': (np.arange(32, dtype='float32').reshape(1, 2, 4, 4) * 37 % 17 - 8) / 4,
    'ker': (np.arange(18, dtype='float32').reshape(1, 2, 3, 3) * 11 % 7 - 3) / 2,
}
UNARY = """exp expm1 sin cos tan sinh cosh tanh arcsinh arctan abs absolute fabs sign square negative cbrt degrees radians
rint fix ceil floor trunc isnan isinf isposinf isneginf isfinite logical_not around""".split()
PARTIAL = 'log log2 log10 log1p sqrt reciprocal arcsin arccos arctanh'.split()  # of numbers between 0 and 1
OF_INTS = 'exp sqrt abs negative sign square floor rint tanh bitwise_not invert'.split()
BINARY = """add subtract multiply divide true_divide mod remainder maximum minimum arctan2 hypot copysign equal not_equal
less less_equal greater greater_equal""".split()
OTHERS = """
x+y|x-2|3-x|x*y|x/y|2/x|x%y|x%0.75|p**y|p**2|2**x|-x|abs(x)|x>y|x>=0.25|x==0.5|x!=y|x<1|v@m|m@m|x@m
i+1|i*2|i/2|i%2|i**2|i+1.5|i*x|i+i|i/i|k%3|~b|b&b|b^b|i&1|b+i|b*x
np.sum(x)|np.sum(x,axis=1)|np.sum(x,axis=(0,1),keepdims=True)|np.sum(i)|np.sum(b)|x.sum(axis=0)|np.mean(x)|np.mean(x,axis=0)
np.mean(i)|x.mean(axis=1,keepdims=True)|np.prod(x,axis=1)|np.max(x)|np.max(x,axis=1)|x.min()|np.min(x,axis=0)|np.max(i)
np.argmax(x)|np.argmax(x,axis=1)|x.argmin(axis=0)|np.cumsum(x,axis=1)|np.cumsum(x)|np.sort(x)|np.sort(x,axis=0)|np.argsort(x)
np.any(b)|np.all(b,axis=0)|np.average(x,axis=1)|np.average(x,weights=p)|np.diff(x)|np.ediff1d(v)
np.trace(m)|np.tril(m)|np.diag(m)|np.diag(v)|np.diagonal(m)|np.diagflat(v)
np.dot(x,m)|np.dot(v,v)|np.inner(x,y)|np.outer(v,v)|np.vdot(v,v)|np.tensordot(x,y,axes=2)|np.tensordot(x,m,axes=1)
np.tensordot(x,y,axes=([0,1],[0,1]))|np.matmul(x,m)|np.einsum('ij,kj->ik',x,y)|np.einsum('ij->j',x)
np.reshape(x,(3,2))|x.reshape(-1)|x.reshape(3,-1)|x.reshape((6,))|np.ravel(x)|x.flatten()|x.T|np.transpose(x)|x.transpose(1,0)
np.expand_dims(x,0)|np.squeeze(np.expand_dims(x,1))|np.swapaxes(x,0,1)|np.moveaxis(x,0,1)|np.roll(x,1)|np.roll(x,1,axis=1)
np.flip(x,0)|np.flipud(x)|np.fliplr(x)|np.repeat(x,2)|np.repeat(x,2,axis=0)|np.tile(x,(2,1))|np.tile(v,2)
np.broadcast_to(v,(2,3))|np.concatenate([x,y])|np.concatenate((x,y),axis=1)|np.stack([x,y])|np.stack((x,y),axis=-1)
np.vstack([v,v])|np.hstack([v,v])|np.dstack([x,y])|np.column_stack([v,v])|np.append(x,y)|np.split(x,3,axis=1)[1]
np.split(v,[1,2])[1]|np.array_split(v,2)[0]|np.hsplit(x,3)[2]|np.vsplit(x,2)[0]|np.where(b,x,y)
np.where(x>0.25,1,0)|np.clip(x,-1,1)|np.clip(x,0.25,None)|x.clip(-1,0.5)|np.take(v,np.array([0,2]))|np.take(x,np.array([1,0]),axis=1)
np.pad(x,((1,0),(0,2)))|np.nan_to_num(x)|np.polyval(v,x)|np.unique(i)|np.nonzero(b)[1]|np.bincount(i.flatten())
np.power(p,2)|np.lcm(np.abs(k),2)|np.bitwise_xor(i,1)
np.zeros_like(x)|np.ones_like(i)|np.full_like(x,2)|np.arange(2,8,2)|np.linspace(0,1,5)|np.logspace(0,1,3)|np.eye(2,3)|np.identity(2)
np.full((2,),3)|np.zeros((1,2))|np.ones(2,dtype='int32')|np.indices((2,2))|np.hanning(4)|np.hamming(4)|np.blackman(4)
np.meshgrid(v,k)[0]
np.linalg.norm(x)|np.linalg.norm(x,axis=1)|np.linalg.norm(x,ord='fro')|np.linalg.det(m)|np.linalg.inv(m)|np.linalg.cholesky(m)
np.linalg.slogdet(m)[1]|np.linalg.svd(m)[1]
x[0]|x[1,2]|x[:,1]|x[:,::2]|x[...,0]|x[:,None]|x[-1,-1]|x[np.array([1,0])]|x[[0,1],[2,0]]|x[b]|x[x>0]|x[0,[1,2]]|x[1:]|x[:,1:3]|v[()]
npx.relu(x)|npx.sigmoid(x)|npx.softmax(x)|npx.softmax(x,axis=0)|npx.log_softmax(x)|npx.log_softmax(x,axis=0)
npx.activation(x,act_type='softrelu')|npx.leaky_relu(x,act_type='elu',slope=0.5)|npx.leaky_relu(x,slope=0.1)|npx.leaky_relu(x,act_type='gelu')
npx.one_hot(i,4)|npx.pick(x,np.array([0,2]))|npx.topk(x,k=2)|npx.topk(x,k=1,ret_typ='value')|npx.topk(x,k=2,ret_typ='both')[0]
npx.batch_dot(np.expand_dims(x,0),np.expand_dims(y,0),transpose_b=True)|npx.embedding(i,m,3,3)|npx.reshape(x,(-2,-1,1))
npx.sequence_mask(x,np.array([1,2,1]),True,value=-1)|npx.sequence_mask(x,np.array([1,2]),True,axis=1)|npx.arange_like(x,axis=1)|npx.gamma(p)
npx.gammaln(p)|npx.erf(x)|npx.erfinv(x/4)|npx.smooth_l1(x,scalar=1)|npx.layer_norm(x,v,v,axis=-1)|npx.batch_flatten(im)|npx.gather_nd(x,np.array([[0,1],[2,0]]))
npx.fully_connected(x,m,v,num_hidden=3)|npx.fully_connected(x,m,num_hidden=3,no_bias=True,flatten=False)|npx.reshape_like(x,np.zeros((3,2)))
npx.convolution(im,ker,kernel=(3,3),num_filter=1,no_bias=True)|npx.convolution(im,ker,kernel=(3,3),num_filter=1,no_bias=True,pad=(1,1),stride=(2,2))
npx.pooling(im,kernel=(2,2),pool_type='max',stride=(2,2))|npx.pooling(im,kernel=(2,2),pool_type='avg')|npx.pooling(im,global_pool=True,pool_type='avg',kernel=(1,1))
npx.dropout(x,p=0)|npx.cast(x,dtype='int32')|npx.slice(x,begin=(0,1),end=(2,3))|npx.multibox_prior(im,sizes=[0.75,0.25],ratios=[1,2])|npx.nonzero(b)|npx.shape_array(x)
"""


def cases():
    """The expressions; in the table a `|` is between two of them."""
    found = ['np.%s(x)' % name for name in UNARY] + ['np.%s(p)' % name for name in PARTIAL]
    found += ['np.%s(i)' % name for name in OF_INTS] + ['np.%s(x, y)' % name for name in BINARY]
    found += ['np.%s(x, 0.75)' % name for name in ('subtract', 'divide', 'mod', 'maximum', 'less')]
    for line in OTHERS.strip().splitlines():
        found += line.split('|')
    return found + ['np.bitwise_or(b, b)', 'np.bitwise_or(i, 2)']


def has_gradients(expression):
    """Whether its gradients are compared: those of `npx` are the operators', a number is an array without axes."""
    return not expression.startswith('npx.') and '0.75)' not in expression


def evaluate(expression, mx):
    """The value of an expression, and the gradients of those inputs that have one."""
    used = set(re.findall(r'[a-z]+', expression))
    arrays = {name: mx.np.array(value, dtype=value.dtype) for name, value in INPUTS.items() if name in used}
    variables = {name: x for name, x in arrays.items() if INPUTS[name].dtype == np.float32}
    for x in variables.values() if has_gradients(expression) else ():
        x.attach_grad()
    with mx.autograd.record():
        value = eval(expression, {'np': mx.np, 'npx': mx.npx, **arrays})
    answer = {'': value.asnumpy() if hasattr(value, 'asnumpy') else np.asarray(value)}
    if answer[''].dtype == np.float32 and has_gradients(expression) and hasattr(value, 'asnumpy'):
        weights = mx.np.array(np.cos(np.arange(value.size)).reshape(value.shape), dtype='float32')
        try:
            value.backward(weights)
        except Exception:  # what depends on no variable has no gradient, in either library
            return answer
        grads = {name: x.grad.asnumpy() for name, x in variables.items()}
        answer.update({name: grad for name, grad in grads.items() if grad.any()})
    return answer
