using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>In the steady state a request allocates nothing, whatever serves it.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class UblkAllocationTests
{
    [Test]
    public async Task A_request_allocates_nothing(
        [Values] UblkBuffers buffers, [Values("inline", "nothing", "file", "queued", "channel")] string served)
    {
        using var file = new TempFile();
        BlockTarget store = served switch
        {
            "file" => FileTarget.Create(file.Path, 1 << 20),
            "nothing" => new NullTarget(1 << 20),
            "queued" => new Queued(new MemoryTarget(1 << 20)),
            _ => new MemoryTarget(1 << 20),
        };
        AbuseDevice device = served == "channel" ? AbuseDevice.Create(store.Geometry) : AbuseDevice.Create(store);
        using ChannelServer? server = served == "channel" ? new ChannelServer(device, store) : null;
        await using var rig = await UblkRig.StartAsync(device, UblkRig.Options(buffers));
        UblkRequest write = new(UblkOp.Write, 0, 8, TestBytes.Of(1, 4096));
        UblkRequest read = new(UblkOp.Read, 0, 8);
        UblkDeviceDouble kernel = rig.Kernel;
        await Allocations.AssertNone(
            count => Soon.OnThread(() =>
            {
                for (int i = 0; i < count; i++)
                {
                    rig.World.Run(kernel, write);
                    rig.World.Run(kernel, read);
                }

                return 0;
            }),
            rounds: 1000,
            awaits: true);
        Assert.That(read.Data.SequenceEqual(served == "nothing" ? new byte[4096] : write.Data));
    }

    /// <summary>Always by the asynchronous entry, and done there.</summary>
    private sealed class Queued(MemoryTarget store) : BlockTarget
    {
        public override BlockGeometry Geometry => store.Geometry;

        public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) =>
            new(store.Execute(bio, new BioSpans(data.Span)));
    }
}
