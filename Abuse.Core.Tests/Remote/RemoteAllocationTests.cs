using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>In the steady state a bio that is served over a connection allocates nothing, on neither side.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class RemoteAllocationTests
{
    [Test]
    public async Task A_bio_allocates_nothing([Values(BioOp.Read, BioOp.Write, BioOp.Flush)] BioOp op, [Values(512, 4096, 65536)] int length, [Values(1, 2)] int connections)
    {
        const int Depth = 8;
        await using var rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(1 << 20) { Features = BlockFeatures.Flush }));
        await using var store = new MemoryTarget(1 << 20, preallocate: true);
        var servers = new List<ChannelServer>();
        for (int i = 0; i < connections; i++)
        {
            servers.Add(new ChannelServer(await Detached(() => rig.ConnectAsync()), store));
        }

        byte[] bytes = new byte[length];
        Bio bio = op switch
        {
            BioOp.Read => Bio.Read(0, bytes),
            BioOp.Write => Bio.Write(0, bytes),
            _ => Bio.Flush(),
        };
        await Allocations.AssertNone(
            rounds => Task.WhenAll(Enumerable.Range(0, Depth).Select(_ => Detached(() => SubmitAsync(rig.Device, bio, rounds / Depth)))), rounds: 16_000, awaits: true);
        servers.ForEach(static server => server.Dispose());
    }

    /// <summary>Without the test's execution context, whose culture follows every await.</summary>
    private static Task<T> Detached<T>(Func<Task<T>> call)
    {
        using AsyncFlowControl control = ExecutionContext.SuppressFlow();
        return Task.Run(call);
    }

    private static async Task<int> SubmitAsync(AbuseDevice device, Bio bio, int count)
    {
        for (int i = 0; i < count; i++)
        {
            if (await device.SubmitAsync(bio) != BioResult.Ok)
            {
                throw new InvalidOperationException("A bio failed.");
            }
        }

        return count;
    }
}
