using NUnit.Framework;

namespace Abuse.Core.Tests;

[TestFixture]
public sealed class NullTargetTests : BlockTargetContract
{
    protected override bool EndsWithDisposal => false;

    protected override BlockTarget Make(long size, int blockSize) => new NullTarget(size, blockSize);

    [Test]
    public void Writes_vanish()
    {
        var caller = new TargetCaller(Create(), TargetPath.MayBlock);
        Assert.That(caller.Write(0, Bytes(seed: 1, 4096)), Is.EqualTo(BioResult.Ok));
        AssertSame(caller.Read(0, 4096), default);
    }

    [Test]
    public void It_is_one_hole() =>
        Assert.That(new NullTarget(1 << 20).GetExtent(512), Is.EqualTo(new BlockExtent(512, (1 << 20) - 512, IsHole: true)));
}
