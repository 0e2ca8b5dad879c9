using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>A client of a partition.</content>
public sealed partial class BlockClientTests
{
    [Test]
    public async Task A_client_of_a_partition_reaches_the_partition_alone([Values] ClientStyle style)
    {
        const int Start = 1 << 20;
        const int Length = 3 << 20;
        byte[] disk = TestBytes.Of(seed: 1, 8 << 20);
        var target = new MemoryTarget(disk.Length);
        AbuseDevice device = AbuseDevice.Create(target);
        _devices.Add(device);
        var whole = new BlockClient(device);
        whole.Write(0, disk);
        var client = new BlockClient(device, new BlockPartition(1, Start, Length));
        var caller = new ClientCaller(client, style);
        Assert.That((client.Size, client.BlockSize), Is.EqualTo(((long)Length, 512)));

        byte[] bytes = TestBytes.Of(seed: 2, Length);
        Assert.That(await caller.Write(0, bytes).InTime(), Is.EqualTo(BioResult.Ok));
        bytes.CopyTo(disk, Start);
        Assert.That(await caller.Discard(Length - 512, 512).InTime(), Is.EqualTo(BioResult.Ok));
        disk.AsSpan(Start + Length - 512, 512).Clear();
        Assert.That(await caller.WriteZeroes(0, 512).InTime(), Is.EqualTo(BioResult.Ok));
        disk.AsSpan(Start, 512).Clear();
        Assert.That(await caller.Flush().InTime(), Is.EqualTo(BioResult.Ok));
        foreach (ClientCall call in Enum.GetValues<ClientCall>())
        {
            foreach ((long offset, int length) in ((long, int)[])[(Length, 512), (Length - 512, 1024), (0, Length + 512), (long.MaxValue - 511, 512), (long.MaxValue - 511, 2 << 20)])
            {
                Assert.That(await caller.Do(call, offset, length).InTime(), Is.EqualTo(BioResult.OutOfRange), $"{call} {length} at {offset}");
            }
        }

        byte[] image = new byte[disk.Length];
        whole.Read(0, image);
        TestBytes.AssertSame(image, disk);
        byte[] back = new byte[Length];
        Assert.That(await caller.Read(0, back).InTime(), Is.EqualTo(BioResult.Ok));
        TestBytes.AssertSame(back, disk.AsSpan(Start, Length));
    }

    [TestCase(-512, 1024)]
    [TestCase(0, -512)]
    [TestCase(100, 512)]
    [TestCase(512, 100)]
    [TestCase(long.MaxValue - 511, 1024)]
    [TestCase(1024, long.MaxValue - 511)]
    public void A_partition_that_no_disk_has_is_misuse(long offset, long length) =>
        Assert.That(() => new BlockClient(Create(), new BlockPartition(1, offset, length)), Throws.ArgumentException);

    [Test]
    public void A_partition_beyond_its_device_is_out_of_range_there()
    {
        var client = new BlockClient(AbuseDevice.Create(new MemoryTarget(1 << 20)), new BlockPartition(2, 512 << 10, 1 << 20));
        _devices.Add(client.Device);
        Assert.That(client.TryRead(0, new byte[512 << 10]), Is.EqualTo(BioResult.Ok));
        Assert.That(client.TryRead(512 << 10, new byte[512]), Is.EqualTo(BioResult.OutOfRange));
        Assert.That(client.ToString(), Does.StartWith("client of partition 2"));
    }
}
