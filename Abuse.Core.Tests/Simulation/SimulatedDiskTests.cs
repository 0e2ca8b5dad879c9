using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Without faults and power losses a simulated disk is a disk (I10): the contract of every target that stores.</summary>
[TestFixtureSource(nameof(Profiles))]
public sealed class SimulatedDiskTests(DiskProfile profile) : StoringTargetContract
{
    protected override int StressRounds => 4000;

    protected override BlockTarget Make(long size, int blockSize) => new SimulatedDisk(size, profile, blockSize);

    [Test]
    public void It_is_of_its_profile_and_says_so()
    {
        var disk = new SimulatedDisk(1 << 20, profile);
        Assert.That(disk.Profile, Is.SameAs(profile));
        Assert.That(disk.Geometry.AtomicUnit, Is.EqualTo(profile.AtomicUnit));
        Assert.That(disk.ToString(), Is.EqualTo($"SimulatedDisk, 1 MiB, 512 B blocks, All, {profile}"));
    }

    [Test]
    public void A_disk_of_a_pebibyte_takes_memory_for_what_is_stored_alone()
    {
        var disk = new SimulatedDisk(1L << 50, profile);
        var caller = new TargetCaller(disk, TargetPath.MayNotBlock);
        Assert.That(caller.Write((1L << 50) - 512, TestBytes.Of(1, 512)), Is.EqualTo(BioResult.Ok));
        Assert.That(disk.AllocatedBytes, Is.EqualTo(4096));
        Assert.That(caller.WriteZeroes(0, 1L << 50, fua: true), Is.EqualTo(BioResult.Ok));
        Assert.That(disk.AllocatedBytes, Is.Zero);
        Assert.That(disk.GetExtent(0), Is.EqualTo(new BlockExtent(0, 1L << 50, IsHole: true)));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ = new SimulatedDisk((1L << 50) + 512, profile));
    }

    private static DiskProfile[] Profiles() => [DiskProfile.ConsumerSsd, DiskProfile.EnterpriseSsd, DiskProfile.Nvme];
}

/// <summary>
/// The same with a clock, by which each bio is done and answered later, in an order of the disk's own: of bios that overlap in time a
/// contract says nothing.
/// </summary>
[TestFixture]
public sealed class SimulatedDiskWithClockTests : StoringTargetContract
{
    protected override int StressRounds => 200;

    protected override BlockTarget Make(long size, int blockSize) => new SimulatedDisk(
        size, DiskProfile.ConsumerSsd with { Latency = DiskLatency.None }, blockSize, new SimulatedDiskOptions { Clock = TimeProvider.System });
}
