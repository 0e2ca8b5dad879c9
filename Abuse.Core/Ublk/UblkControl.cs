using System.Runtime.InteropServices;

namespace Abuse.Core;

/// <summary>What there is of ublk on this machine: what the driver can do, which disks there are, and how to be rid of those that nobody serves.</summary>
/// <remarks>Thread-safe. Every method throws <see cref="PlatformNotSupportedException"/> where this is no 64-bit Linux.</remarks>
public static class UblkControl
{
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(30);

    /// <summary>The running kernel.</summary>
    internal static UblkKernel Kernel => Interop.LinuxCall.IsAvailable
        ? LinuxUblkKernel.Instance
        : throw new PlatformNotSupportedException("ublk is a driver of 64-bit Linux. Elsewhere a device can be used in process, by BlockClient and BlockStream.");

    /// <summary>What the driver can do.</summary>
    /// <exception cref="UblkException">It is not loaded, too old, or does not let this process.</exception>
    public static Task<UblkFeatures> GetFeaturesAsync() => GetFeaturesAsync(Call(Kernel));

    /// <summary>The disks that there are, whoever serves them, by id.</summary>
    /// <exception cref="UblkException">The driver is not loaded or does not let this process.</exception>
    public static Task<IReadOnlyList<UblkDeviceInfo>> ListAsync() => ListAsync(Call(Kernel));

    /// <summary>Stops and removes a disk, whoever serves it and whoever has it open.</summary>
    /// <param name="id">The N of <c>/dev/ublkbN</c>.</param>
    /// <exception cref="UblkException">There is no such disk, or somebody holds it: it is removed when that ends.</exception>
    public static Task DeleteAsync(int id) => DeleteAsync(Call(Kernel), id);

    /// <summary>Removes the disks that nobody serves: what is left of servers that were killed.</summary>
    /// <param name="recoverable">Whether those go too that wait for a server to recover them; their openers get errors.</param>
    /// <returns>What was removed.</returns>
    /// <exception cref="UblkException">One of them can't be removed; the others were.</exception>
    public static Task<IReadOnlyList<UblkDeviceInfo>> ReapAsync(bool recoverable = false) => ReapAsync(Call(Kernel), recoverable);

    internal static UblkControlCall Call(UblkKernel kernel) => new(kernel, DefaultTimeout, TimeProvider.System);

    internal static async Task<UblkFeatures> GetFeaturesAsync(UblkControlCall control)
    {
        byte[] buffer = new byte[UblkAbi.FeaturesLength];
        int result = await control.TryAsync(UblkCommand.GetFeatures, null, buffer).ConfigureAwait(false);
        return result < 0 ? throw UblkErrors.For(UblkCommand.GetFeatures, -result, null) : MemoryMarshal.Read<UblkFeatures>(buffer);
    }

    internal static async Task<IReadOnlyList<UblkDeviceInfo>> ListAsync(UblkControlCall control)
    {
        var found = new List<UblkDeviceInfo>();
        foreach (int id in control.Kernel.Ids())
        {
            try
            {
                UblkDevInfo info = await control.RunAsync(UblkCommand.GetDevInfo, id, default(UblkDevInfo)).ConfigureAwait(false);
                UblkParams parameters = await ParametersAsync(control, id).ConfigureAwait(false);
                found.Add(new UblkDeviceInfo(info, parameters, IsServed(control.Kernel, info)));
            }
            catch (UblkException exception) when (exception.Failure == UblkFailure.NoSuchDevice)
            {
                // It went meanwhile.
            }
        }

        return found;
    }

    internal static async Task DeleteAsync(UblkControlCall control, int id)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(id);
        await control.RunAsync(UblkCommand.StopDev, id).ConfigureAwait(false);
        await control.RemoveAsync(id).ConfigureAwait(false);
    }

    internal static async Task<IReadOnlyList<UblkDeviceInfo>> ReapAsync(UblkControlCall control, bool recoverable)
    {
        var removed = new List<UblkDeviceInfo>();
        UblkException? failure = null;
        foreach (UblkDeviceInfo disk in await ListAsync(control).ConfigureAwait(false))
        {
            if (disk.IsServed || (disk.AwaitsRecovery && !recoverable))
            {
                continue;
            }

            try
            {
                await DeleteAsync(control, disk.Id).ConfigureAwait(false);
                removed.Add(disk);
            }
            catch (UblkException exception) when (exception.Failure == UblkFailure.NoSuchDevice)
            {
                // Somebody was faster.
            }
            catch (UblkException exception)
            {
                failure ??= exception;
            }
        }

        return failure is null ? removed : throw failure;
    }

    /// <summary>A disk that was made and never configured has no parameters yet.</summary>
    private static async Task<UblkParams> ParametersAsync(UblkControlCall control, int id)
    {
        byte[] buffer = new byte[UblkAbi.ParamsLength];
        var asked = new UblkParams { Length = UblkAbi.ParamsLength };
        MemoryMarshal.Write(buffer, asked);
        int result = await control.TryAsync(UblkCommand.GetParams, id, buffer).ConfigureAwait(false);
        return result < 0 ? default : MemoryMarshal.Read<UblkParams>(buffer);
    }

    /// <summary>
    /// Whether some process has it: who serves has the character device open, and nobody else can open it. The number that the kernel
    /// tells is of whoever started it, and means nothing before and after. Where this process can't open it for another reason, having no
    /// node for it in its /dev for one, it counts as served: what can't be told must not be removed.
    /// </summary>
    private static bool IsServed(UblkKernel kernel, in UblkDevInfo info)
    {
        using UblkCharacterDevice? character = kernel.Open((int)info.Id, out int error);
        return character is null && error is not (Interop.LinuxErrno.ENXIO or Interop.LinuxErrno.ENODEV);
    }
}
